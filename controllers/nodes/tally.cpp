#include "controllers/nodes/tally.hpp"

#include <algorithm>

namespace gobuildenv::controllers {

namespace {

/// What status.toolchain.sums has room for.
constexpr std::size_t kMaxPlatforms = 64;

void add_to(std::map<goenv::ToolchainSum, std::int32_t>& counts, const goenv::ToolchainSum& sum,
            std::int32_t by) {
  const auto at = counts.try_emplace(sum, 0).first;
  if ((at->second += by) == 0) counts.erase(at);
}

/// The most frequent of each platform, of equally frequent ones the first.
std::vector<goenv::ToolchainSum> one_a_platform(
    const std::map<goenv::ToolchainSum, std::int32_t>& counts) {
  std::vector<goenv::ToolchainSum> out;
  std::int32_t most = 0;
  for (const auto& [sum, nodes] : counts) {  // by os, arch and sum
    if (out.empty() || out.back().os != sum.os || out.back().arch != sum.arch) {
      if (out.size() == kMaxPlatforms) break;
      out.push_back(sum);
      most = nodes;
    } else if (nodes > most) {
      out.back() = sum;
      most = nodes;
    }
  }
  return out;
}

}  // namespace

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
      if (!mark.verified.sum.empty()) add_to(count.verified, mark.verified, by);
    } else if ((count.failed[mark.reason] += by) == 0) {
      count.failed.erase(mark.reason);
    }
    if (count.ready == 0 && count.failed.empty()) counts_.erase(mark.key);
  }
}

void NodeTally::sum_up(const std::string& key, NodeFacts& out, Total& total) const {
  const auto found = counts_.find(key);
  if (found == counts_.end()) return;
  out.ready += found->second.ready;
  for (const auto& [reason, nodes] : found->second.failed) {
    out.failed += nodes;
    total.reasons[reason] += nodes;
  }
  for (const auto& [sum, nodes] : found->second.verified) add_to(total.verified, sum, nodes);
}

NodeFacts NodeTally::count(const std::string& version, const std::vector<std::string>& sums) const {
  NodeFacts out;
  out.pinned = !sums.empty();
  Total total;
  const std::scoped_lock lock(mutex_);
  out.agents = nodes_;
  if (sums.empty()) {
    sum_up(mark_key(version), out, total);
    out.desired = nodes_;
  } else {
    for (const std::string& sum : sums) sum_up(mark_key(version, sum), out, total);
    out.desired = out.ready + out.failed;
  }
  const auto most =
      std::max_element(total.reasons.begin(), total.reasons.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most != total.reasons.end()) out.reason = most->first;
  out.verified = one_a_platform(total.verified);
  return out;
}

}  // namespace gobuildenv::controllers
