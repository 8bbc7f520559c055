#include "controllers/manager/impl.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "crds/digest.hpp"

namespace gobuildenv::controllers {
namespace {

kube::ControllerOptions controller_options(std::string name, int workers) {
  kube::ControllerOptions out;
  out.name = std::move(name);
  out.workers = workers;
  return out;
}

}  // namespace

Manager::Impl::Impl(ManagerOptions given, ManagerEdges given_edges)
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
      reconciler(*client, informers.caches(), resolver, events, edges.clock, reconciler_options()),
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

kube::LeaderElectionOptions Manager::Impl::election_options() const {
  kube::LeaderElectionOptions out;
  out.lease = {options.own_namespace, options.lease_name};
  out.identity = options.identity;
  return out;
}

kube::LeaderCallbacks Manager::Impl::callbacks() {
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

kube::EventRecorderOptions Manager::Impl::event_options() const {
  kube::EventRecorderOptions out;
  out.series.instance = options.identity;
  const kube::Counter dropped = edges.metrics.counter(
      "gobuildenv_events_dropped_total", "Events that were not written: too many, or refused.");
  out.dropped = [dropped] { dropped.add(); };
  return out;
}

std::function<bool(const std::string&)> Manager::Impl::disabled() {
  return [this](const std::string& ns) {
    const auto& excluded = options.excluded_namespaces;
    if (std::find(excluded.begin(), excluded.end(), ns) != excluded.end()) return true;
    const auto found = informers.namespaces.get({{}, ns});
    return found && found->injection == webhooks::NamespaceInjection::Disabled;
  };
}

ReconcilerOptions Manager::Impl::reconciler_options() {
  ReconcilerOptions out;
  out.decide.defaults = options.defaults;
  out.decide.sha256 = crds::sha256_hex;
  out.injection_disabled = disabled();
  out.nodes = [this](const auto& sums) { return nodes.counter(sums); };
  out.take_nodes_due = [this](const auto& key) { return nodes.take_due(key); };
  return out;
}

ResolverOptions Manager::Impl::resolver_options() const {
  ResolverOptions out = options.resolver;
  out.answered = [this, then = options.resolver.answered](const ToolchainAnswer& answer) {
    operator_metrics.answered(answer);
    if (then) then(answer);
  };
  return out;
}

}  // namespace gobuildenv::controllers
