#include "agent/node/prefetch_plan.hpp"

#include <algorithm>

#include "agent/node/collection_triggers.hpp"

namespace gobuildenv::agent {
namespace {

using Kind = ToolchainState::Kind;

/// As it will be when what is being fetched is there.
collector::Disk after(collector::Disk disk, std::size_t fetches) {
  disk.bytes_free -= std::min(disk.bytes_free, fetches * kUsualToolchain.bytes);
  disk.inodes_free -= std::min(disk.inodes_free, fetches * kUsualToolchain.inodes);
  return disk;
}

}  // namespace

PrefetchPlan plan_prefetch(const PrefetchFacts& facts, const collector::Limits& limits) {
  PrefetchPlan out;
  out.held = facts.disk && over_high(*facts.disk, limits);
  std::size_t in_flight = facts.in_flight;
  const auto has_room = [&] {
    return in_flight < kMostFetchedAhead &&
           !(facts.disk && over_high(after(*facts.disk, in_flight), limits));
  };
  for (const auto& [want, state] : facts.wanted) {
    const bool failed_lately = state.kind == Kind::Failed && facts.now < state.retry_at;
    if (state.kind == Kind::Ready || state.kind == Kind::Fetching || failed_lately) continue;
    if (has_room()) {
      out.begin.push_back(want);
      ++in_flight;
    } else {
      out.later.push_back(want);
    }
  }
  out.held = out.held && !out.later.empty();
  return out;
}

}  // namespace gobuildenv::agent
