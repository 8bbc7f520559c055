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
  status.toolchain.sums = any ? nodes.verified : std::vector<goenv::ToolchainSum>{};
  if (!any) {
    clear_condition(status, kToolchainReady);
    return;
  }
  crds::Condition condition = describe(status, nodes);
  condition.observed_generation = generation;
  condition.last_transition_time = crds::format_time(now);
  set_condition(status, std::move(condition));
}

NodesTold told_of_nodes(const crds::Status& status, bool mounted, std::vector<std::string> sums) {
  NodesTold out{status.toolchain.version, std::move(sums),       mounted,     status.nodes_ready,
                status.nodes_desired,     status.toolchain.sums, std::nullopt};
  if (const crds::Condition* condition = status.find(kToolchainReady)) {
    out.condition.emplace(condition->status, condition->reason);
  }
  return out;
}

NodesNews nodes_news(const NodesTold& told, const NodeFacts& nodes) {
  crds::Status status;
  status.toolchain.version = told.version;
  set_nodes(status, nodes, told.mounted, 0, 0);
  const NodesTold next = told_of_nodes(status, told.mounted, told.sums);
  if (next == told) return NodesNews::None;
  const auto status_of = [](const NodesTold& one) {
    return one.condition ? std::optional(one.condition->first) : std::nullopt;
  };
  return status_of(next) == status_of(told) ? NodesNews::Counts : NodesNews::Condition;
}

bool nodes_differ(const crds::Status& status, const NodeFacts& nodes, bool mounted) {
  return nodes_news(told_of_nodes(status, mounted, {}), nodes) != NodesNews::None;
}

}  // namespace gobuildenv::controllers
