#include "controllers/manager.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "controllers/gobuildenv/reconciler.hpp"
#include "controllers/manager/certificates.hpp"
#include "controllers/manager/change_router.hpp"
#include "controllers/manager/informers.hpp"
#include "controllers/manager/nodes.hpp"
#include "controllers/missed/reporter.hpp"
#include "controllers/operator_metrics.hpp"
#include "controllers/serving/lookup.hpp"
#include "crds/digest.hpp"
#include "kube/events.hpp"
#include "kube/leader_election.hpp"

namespace gobuildenv::controllers {

struct Manager::Impl {
  Impl(ManagerOptions given, ManagerEdges given_edges)
      : options(std::move(given)),
        edges(std::move(given_edges)),
        open_client(edges.make_client({}, nullptr)),
        elector(*open_client, edges.clock, edges.random, election_options(), callbacks(),
                &edges.metrics),
        client(edges.make_client([this] { return leads(); }, &requests)),
        watch_client(edges.make_client({}, &requests)),
        informers(options, {*watch_client, edges.clock, edges.random, &edges.metrics}),
        lookup({*open_client, informers.environments, informers.config_maps, informers.namespaces,
                informers.csi_drivers}),
        events(*client, event_options(), edges.clock, edges.random),
        operator_metrics(edges.metrics),
        resolver(resolver_options(), options.web_transport, edges.clock,
                 [this](const kube::ObjectKey& key) { environment_controller.queue().add(key); }),
        reconciler(*client, informers.caches(), resolver, events, edges.clock,
                   reconciler_options()),
        environment_controller(controller_options("gobuildenv", options.workers), edges.clock,
                               &edges.metrics,
                               [this](const auto& key) { return reconciler.reconcile(key); }),
        missed(informers.caches(), events, edges.clock, &edges.metrics, {disabled(), 5, 50}),
        missed_controller(controller_options("missed-pods", 1), edges.clock, &edges.metrics,
                          [this](const auto& key) { return router.reconcile_missed(key); }),
        router(
            {informers, missed, events, environment_controller.queue(), missed_controller.queue()}),
        certificates(options, informers, *client, operator_metrics, edges.clock, edges.metrics),
        nodes({*watch_client, edges.clock, edges.random, &edges.metrics}, informers.environments,
              environment_controller.queue()) {
    informers.environments.add_handler(
        [this](const auto& change) { operator_metrics.observe(change); });
  }

  // --- options of the parts ---

  [[nodiscard]] kube::LeaderElectionOptions election_options() const {
    kube::LeaderElectionOptions out;
    out.lease = {options.own_namespace, options.lease_name};
    out.identity = options.identity;
    return out;
  }

  kube::LeaderCallbacks callbacks() {
    kube::LeaderCallbacks out;
    out.on_started = [this] { start_workers(); };
    out.on_lost = [this] {
      spdlog::error("the lease is lost lease={}/{}", options.own_namespace, options.lease_name);
      finish(End::LostLease);
    };
    out.on_new_leader = [this](const std::string& identity) {
      spdlog::info("leader identity={} self={}", identity, identity == options.identity);
    };
    return out;
  }

  [[nodiscard]] kube::EventRecorderOptions event_options() const {
    kube::EventRecorderOptions out;
    out.series.instance = options.identity;
    const kube::Counter dropped = edges.metrics.counter(
        "gobuildenv_events_dropped_total", "Events that were not written: too many, or refused.");
    out.dropped = [dropped] { dropped.add(); };
    return out;
  }

  [[nodiscard]] std::function<bool(const std::string&)> disabled() {
    return [this](const std::string& ns) {
      const auto& excluded = options.excluded_namespaces;
      if (std::find(excluded.begin(), excluded.end(), ns) != excluded.end()) return true;
      const auto found = informers.namespaces.get({{}, ns});
      return found && found->injection == webhooks::NamespaceInjection::Disabled;
    };
  }

  ReconcilerOptions reconciler_options() {
    ReconcilerOptions out;
    out.decide.defaults = options.defaults;
    out.decide.sha256 = crds::sha256_hex;
    out.injection_disabled = disabled();
    out.nodes = [this](const auto& sums) { return nodes.counter(sums); };
    out.take_nodes_due = [this](const auto& key) { return nodes.take_due(key); };
    return out;
  }

  [[nodiscard]] ResolverOptions resolver_options() const {
    ResolverOptions out = options.resolver;
    out.answered = [this, then = options.resolver.answered](const ToolchainAnswer& answer) {
      operator_metrics.answered(answer);
      if (then) then(answer);
    };
    return out;
  }

  static kube::ControllerOptions controller_options(std::string name, int workers) {
    kube::ControllerOptions out;
    out.name = std::move(name);
    out.workers = workers;
    return out;
  }

  // --- life ---

  [[nodiscard]] bool leads() const {
    return options.leader_election ? elector.is_leader() : router.begun();
  }

  /// On a thread of its own: nobody can say when the API server is there.
  void follow_up() {
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

  /// False when it is to stop.
  bool begin_leading() {
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

  void start_workers() {
    missed.lead(elector.led_until());
    const std::scoped_lock lock(mutex);
    if (!stopping) start_workers_locked();
  }

  void start_workers_locked() {
    router.begin();
    environment_controller.start();
    certificates.begin();
    nodes.begin();
    if (all_synced) begin_pods_locked();
  }

  void begin_pods_locked() {
    router.begin_pods();
    missed_controller.start();
    kube::trim_after_sync();
  }

  void finish(End end) {
    {
      const std::scoped_lock lock(end_mutex);
      if (!ended) ended = end;
    }
    end_wake.notify_all();
  }

  void stop_controllers() {
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

  void release_lease() {
    stop_controllers();
    if (elector_started) elector.stop(kube::LeaderElector::Release::Yes);
    elector_started = false;
  }

  const ManagerOptions options;
  const ManagerEdges edges;
  kube::RequestStop requests;  ///< of all clients but open_client
  /// For the Lease, which is given back after all other requests have ended, and for admission,
  /// which is served even longer.
  std::unique_ptr<kube::Client> open_client;
  kube::LeaderElector elector;
  std::unique_ptr<kube::Client> client;        ///< for all other writes: asks the elector
  std::unique_ptr<kube::Client> watch_client;  ///< for the caches
  ManagerInformers informers;
  ServingLookup lookup;
  kube::EventWriter events;
  OperatorMetrics operator_metrics;
  ToolchainResolver resolver;
  EnvironmentReconciler reconciler;
  kube::Controller environment_controller;
  MissedPods missed;
  kube::Controller missed_controller;
  ChangeRouter router;
  ManagerCertificates certificates;
  ManagerNodes nodes;

  std::mutex mutex;  ///< start of election and workers against their stop
  bool stopping = false;
  bool stopped = false;
  bool elector_started = false;
  bool all_synced = false;
  std::thread starter;

  std::mutex end_mutex;
  std::condition_variable end_wake;
  std::optional<End> ended;
};

Manager::Manager(ManagerOptions options, ManagerEdges edges)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(edges))) {}

Manager::~Manager() { impl_->release_lease(); }

const webhooks::EnvironmentLookup& Manager::lookup() const { return impl_->lookup; }

void Manager::add_checks(kube::HealthChecks& live, kube::HealthChecks& ready) {
  Impl* impl = impl_.get();
  live.add("workers", [impl]() -> std::optional<std::string> {
    const bool hung = impl->environment_controller.hung() || impl->missed_controller.hung() ||
                      impl->certificates.hung() || impl->nodes.hung();
    if (hung) return "a worker has held one key for too long";
    return std::nullopt;
  });
  ready.add("caches", [impl]() -> std::optional<std::string> {
    if (impl->informers.synced()) return std::nullopt;
    return "the caches have not synced";
  });
  impl->certificates.add_checks(ready);
}

void Manager::start() {
  impl_->informers.each([](auto& informer) { informer.start(); });
  impl_->starter = std::thread([impl = impl_.get()] { impl->follow_up(); });
}

Manager::End Manager::wait() {
  std::unique_lock lock(impl_->end_mutex);
  impl_->end_wake.wait(lock, [this] { return impl_->ended.has_value(); });
  return *impl_->ended;
}

void Manager::request_stop() { impl_->finish(End::Stopped); }
void Manager::stop_controllers() { impl_->stop_controllers(); }
void Manager::release_lease() { impl_->release_lease(); }
bool Manager::leads() const { return impl_->leads(); }
bool Manager::synced() const { return impl_->informers.synced(); }

}  // namespace gobuildenv::controllers
