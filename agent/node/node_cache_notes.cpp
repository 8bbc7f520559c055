#include <fmt/format.h>

#include <algorithm>

#include "agent/node/node_cache_status.hpp"

namespace gobuildenv::agent {

using crds::Condition;
using crds::NodeCacheStatus;
using crds::NodeToolchain;
using crds::ToolchainPhase;

std::vector<NodeCacheNote> note_changes(const NodeCacheStatus& before,
                                        const NodeCacheStatus& after) {
  std::vector<NodeCacheNote> out;
  const bool made_now = before.conditions.empty();
  // A toolchain gets its key with its sum, so a private one and the shared one are told apart by
  // the state's side only.
  const auto is_private = [](const NodeToolchain& t) { return t.key.starts_with("ns-"); };
  const auto find = [&](const NodeCacheStatus& in, const NodeToolchain& t) -> const NodeToolchain* {
    const auto at = std::find_if(in.toolchains.begin(), in.toolchains.end(), [&](const auto& o) {
      return o.version == t.version && o.os == t.os && o.arch == t.arch &&
             is_private(o) == is_private(t) && (!is_private(t) || o.key == t.key);
    });
    return at == in.toolchains.end() ? nullptr : &*at;
  };
  for (const NodeToolchain& now : after.toolchains) {
    const NodeToolchain* then = find(before, now);
    if (then != nullptr && then->state == now.state && then->reason == now.reason) continue;
    const std::string subject = fmt::format("go{}.{}-{}", now.version, now.os, now.arch);
    switch (now.state) {
      case ToolchainPhase::Failed:
        out.push_back(
            {true, "ToolchainFailed", subject,
             fmt::format("{} cannot be fetched: {}: {}", subject, now.reason, now.message)});
        break;
      case ToolchainPhase::Fetching:
        out.push_back({false, "ToolchainFetching", subject,
                       fmt::format("{} is being fetched, {} %", subject, now.progress)});
        break;
      case ToolchainPhase::Ready:
        if (made_now) break;
        out.push_back(
            {false, "ToolchainReady", subject,
             fmt::format("{} is ready, {}, {}", subject, crds::format_size(now.size), now.sum)});
        break;
    }
  }
  for (const NodeToolchain& then : before.toolchains) {
    if (then.state != ToolchainPhase::Ready || find(after, then) != nullptr) continue;
    const std::string subject = fmt::format("go{}.{}-{}", then.version, then.os, then.arch);
    out.push_back({false, "ToolchainRemoved", subject,
                   fmt::format("{} was removed, {}", subject, crds::format_size(then.size))});
  }
  for (const std::string_view type : {crds::kDiskFull, crds::kReadOnlyFileSystem, crds::kIoError}) {
    const Condition* now = after.find(type);
    if (now == nullptr || before.find(type) != nullptr) continue;
    out.push_back({true, std::string(type), std::string(type), now->message});
  }
  return out;
}

}  // namespace gobuildenv::agent
