#include "controllers/manager/nodes.hpp"

#include <chrono>
#include <utility>

namespace gobuildenv::controllers {
namespace {

/// The only key of the sweep's queue.
const kube::ObjectKey kSweep{{}, "sweep"};
/// How soon an incomplete list is looked at again.
constexpr std::chrono::seconds kUnsynced{5};

kube::InformerOptions watch_nodes() {
  kube::InformerOptions options;
  options.type = kNodeCacheType;
  return options;
}

kube::ControllerOptions sweep_options() {
  kube::ControllerOptions out;
  out.name = "nodes";
  out.workers = 1;
  return out;
}

}  // namespace

ManagerNodes::ManagerNodes(const kube::InformerRuntime& runtime,
                           const kube::Informer<EnvironmentRecord>& environments,
                           kube::WorkQueue& reconciler)
    : environments_(environments),
      nodes_(runtime, watch_nodes(), decode_node),
      sweep_(environments, tally_,
             [&reconciler](const auto& key) { reconciler.add(key, kube::Priority::Low); },
             runtime.clock, runtime.metrics, {}),
      controller_(sweep_options(), runtime.clock, runtime.metrics,
                  [this](const kube::ObjectKey&) -> kube::ReconcileResult {
                    if (!nodes_.has_synced() || !environments_.has_synced()) {
                      return kube::ReconcileResult::requeue_after(kUnsynced);
                    }
                    return sweep_.pass();
                  }) {
  nodes_.add_handler([this](const auto& change) {
    if (tally_.observe(change)) schedule();
  });
}

void ManagerNodes::begin() {
  if (begun_.exchange(true)) return;
  nodes_.start();
  controller_.start();
  schedule();
}

void ManagerNodes::request_stop() {
  controller_.request_stop();
  nodes_.request_stop();
}

void ManagerNodes::join() {
  controller_.join();
  if (begun_) nodes_.join();
}

void ManagerNodes::schedule() { controller_.queue().add_after(kSweep, sweep_.delay()); }

std::function<NodeFacts(const std::string& version)> ManagerNodes::counter(
    std::vector<std::string> sums) const {
  if (!nodes_.has_synced()) return {};
  return [this, sums = std::move(sums)](const std::string& version) {
    return tally_.count(version, sums);
  };
}

}  // namespace gobuildenv::controllers
