#include "controllers/nodes/tally.hpp"

#include <algorithm>

namespace gobuildenv::controllers {

bool NodeTally::observe(const kube::Change<NodeRecord>& change) {
  const NodeRecord* before = change.old_value.get();
  const NodeRecord* after = change.new_value.get();
  // Equal lists are one list.
  if (before != nullptr && after != nullptr && before->marks == after->marks) return false;
  const std::scoped_lock lock(mutex_);
  if (before != nullptr) add(*before, -1);
  if (after != nullptr) add(*after, 1);
  return before != nullptr || after != nullptr;
}

void NodeTally::add(const NodeRecord& node, std::int32_t by) {
  nodes_ += by;
  for (const ToolchainMark& mark : *node.marks) {
    Count& count = counts_[mark.key];
    if (mark.ready) {
      count.ready += by;
    } else if ((count.failed[mark.reason] += by) == 0) {
      count.failed.erase(mark.reason);
    }
    if (count.ready == 0 && count.failed.empty()) counts_.erase(mark.key);
  }
}

void NodeTally::sum_up(const std::string& key, NodeFacts& out,
                       std::map<std::string, std::int32_t>& reasons) const {
  const auto found = counts_.find(key);
  if (found == counts_.end()) return;
  out.ready += found->second.ready;
  for (const auto& [reason, nodes] : found->second.failed) {
    out.failed += nodes;
    reasons[reason] += nodes;
  }
}

NodeFacts NodeTally::count(const std::string& version, const std::vector<std::string>& sums) const {
  NodeFacts out;
  out.pinned = !sums.empty();
  std::map<std::string, std::int32_t> reasons;
  const std::scoped_lock lock(mutex_);
  out.agents = nodes_;
  if (sums.empty()) {
    sum_up(mark_key(version), out, reasons);
    out.desired = nodes_;
  } else {
    for (const std::string& sum : sums) sum_up(mark_key(version, sum), out, reasons);
    out.desired = out.ready + out.failed;
  }
  const auto most =
      std::max_element(reasons.begin(), reasons.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most != reasons.end()) out.reason = most->first;
  return out;
}

}  // namespace gobuildenv::controllers
