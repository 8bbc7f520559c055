#include <spdlog/spdlog.h>

#include "controllers/manager/impl.hpp"

/// In which order the manager's parts start, and stop.
namespace gobuildenv::controllers {

bool Manager::Impl::leads() const {
  return options.leader_election ? elector.is_leader() : router.begun();
}

void Manager::Impl::follow_up() {
  // Environments are the longest list by far, and one that has come can be reconciled as soon as
  // what it is compared with is there.
  bool complete = true;
  informers.each_but_environments([&](auto& informer) {
    complete = complete && informer.wait_for_sync(kube::Clock::TimePoint::max());
  });
  if (!complete || !begin_leading()) return;
  if (!informers.environments.wait_for_sync(kube::Clock::TimePoint::max())) return;
  spdlog::info("caches have synced environments={} configmaps={} pods={}",
               informers.environments.size(), informers.config_maps.size(),
               informers.pods.size() + informers.chosen_pods.size());
  kube::trim_after_sync();
  const std::scoped_lock lock(mutex);
  all_synced = true;
  if (!stopping && router.begun()) begin_pods_locked();
}

bool Manager::Impl::begin_leading() {
  const std::scoped_lock lock(mutex);
  if (stopping) return false;
  if (options.leader_election) {
    elector.start();
    elector_started = true;
  } else {
    start_workers_locked();
  }
  return true;
}

void Manager::Impl::start_workers() {
  missed.lead(elector.led_until());
  const std::scoped_lock lock(mutex);
  if (!stopping) start_workers_locked();
}

void Manager::Impl::start_workers_locked() {
  router.begin();
  environment_controller.start();
  certificates.begin();
  nodes.begin();
  if (all_synced) begin_pods_locked();
}

void Manager::Impl::begin_pods_locked() {
  router.begin_pods();
  missed_controller.start();
  kube::trim_after_sync();
}

void Manager::Impl::finish(End end) {
  {
    const std::scoped_lock lock(end_mutex);
    if (!ended) ended = end;
  }
  end_wake.notify_all();
}

void Manager::Impl::stop_controllers() {
  {
    const std::scoped_lock lock(mutex);
    if (stopped) return;
    stopping = true;
    stopped = true;
  }
  environment_controller.request_stop();
  missed_controller.request_stop();
  certificates.request_stop();
  nodes.request_stop();
  resolver.stop();
  std::optional<kube::StopAfter> bound(std::in_place, edges.clock, options.stop_grace, requests);
  environment_controller.join();
  missed_controller.join();
  certificates.join();
  nodes.join();
  events.stop();
  bound.reset();
  informers.each([](auto& informer) { informer.request_stop(); });
  // A list or the opening of a watch under way is of use to nobody now.
  requests.stop();
  informers.each([](auto& informer) { informer.join(); });
  if (starter.joinable()) starter.join();
}

void Manager::Impl::release_lease() {
  stop_controllers();
  if (elector_started) elector.stop(kube::LeaderElector::Release::Yes);
  elector_started = false;
}

}  // namespace gobuildenv::controllers
