#include "controllers/nodes/decide.hpp"

#include <fmt/format.h>

#include "controllers/gobuildenv/conditions.hpp"
#include "crds/time.hpp"

namespace gobuildenv::controllers {
namespace {

using crds::ConditionStatus;

crds::Condition describe(const crds::Status& status, const NodeFacts& nodes) {
  crds::Condition out;
  out.type = kToolchainReady;
  const std::string& version = status.toolchain.version;
  if (nodes.pinned && nodes.desired == 0) {
    out.reason = "OnDemand";
    out.message = "a pinned toolchain is fetched on a node when its first pod asks for it";
    return out;
  }
  out.status = ConditionStatus::False;
  if (nodes.failed > 0) {
    out.reason = nodes.reason.empty() ? "Failed" : nodes.reason;
    out.message = fmt::format(
        "go{} is ready on {} of {} nodes, {} cannot fetch it ({}): see kubectl get gonodecaches",
        version, nodes.ready, nodes.desired, nodes.failed, out.reason);
  } else if (nodes.ready < nodes.desired) {
    out.reason = "Fetching";
    out.message =
        fmt::format("go{} is ready on {} of {} nodes", version, nodes.ready, nodes.desired);
  } else {
    out.status = ConditionStatus::True;
    out.reason = "Ready";
    out.message =
        fmt::format("go{} is ready on {} of {} nodes", version, nodes.ready, nodes.desired);
  }
  return out;
}

}  // namespace

void set_nodes(crds::Status& status, const NodeFacts& nodes, bool mounted, std::int64_t generation,
               std::int64_t now) {
  const bool any = mounted && !status.toolchain.version.empty() && nodes.agents > 0;
  status.nodes_ready = any ? nodes.ready : 0;
  status.nodes_desired = any ? nodes.desired : 0;
  if (!any) {
    clear_condition(status, kToolchainReady);
    return;
  }
  crds::Condition condition = describe(status, nodes);
  condition.observed_generation = generation;
  condition.last_transition_time = crds::format_time(now);
  set_condition(status, std::move(condition));
}

bool nodes_differ(const crds::Status& status, const NodeFacts& nodes, bool mounted,
                  std::int64_t generation) {
  crds::Status next = status;
  set_nodes(next, nodes, mounted, generation, 0);
  const crds::Condition* before = status.find(kToolchainReady);
  const crds::Condition* after = next.find(kToolchainReady);
  if ((before == nullptr) != (after == nullptr)) return true;
  if (before != nullptr && (before->status != after->status || before->reason != after->reason)) {
    return true;
  }
  return next.nodes_ready != status.nodes_ready || next.nodes_desired != status.nodes_desired;
}

}  // namespace gobuildenv::controllers
