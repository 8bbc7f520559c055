#include "agent/node/node_cache_status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "agent/node/tidy_text.hpp"
#include "crds/node_cache_names.hpp"
#include "crds/time.hpp"

namespace gobuildenv::agent {
namespace {

using crds::Condition;
using crds::ConditionStatus;
using crds::NodeCacheStatus;
using crds::NodeToolchain;
using crds::ToolchainPhase;

constexpr std::int64_t kHour = 3600;
constexpr std::size_t kMaxSummary = 256;
constexpr std::size_t kMaxText = 256;
constexpr std::size_t kMaxMessage = 512;

std::int64_t signed_bytes(std::uint64_t bytes) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, std::uint64_t{1} << 60U));
}

/// Each pod is a use: minutes would make every one of them news.
std::int64_t to_the_hour(std::int64_t seconds) { return seconds - seconds % kHour; }

std::int32_t percent(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return 0;
  const double share = static_cast<double>(part) / static_cast<double>(whole);
  return static_cast<std::int32_t>(std::clamp(share * 100 + 0.5, 0.0, 100.0));
}

auto order_of(const NodeToolchain& t, const ToolchainId& id) {
  return std::tuple(id, std::string_view(t.key));
}

struct Sorted {
  ToolchainId id;
  NodeToolchain item;
};

NodeToolchain describe(const ToolchainFact& fact) {
  NodeToolchain out;
  out.version = goenv::to_string(fact.id.version);
  out.os = fact.id.os;
  out.arch = fact.id.arch;
  out.key = fact.key;
  out.state = fact.phase;
  out.sum = fact.h1;
  out.volumes = static_cast<std::int32_t>(fact.volumes);
  if (fact.phase == ToolchainPhase::Ready) out.size = signed_bytes(fact.bytes);
  if (fact.phase == ToolchainPhase::Fetching) out.progress = percent(fact.bytes, fact.total_bytes);
  if (fact.phase == ToolchainPhase::Failed) {
    out.reason = tidy(fact.reason, 64);
    out.message = tidy(fact.message, kMaxMessage);
  }
  if (fact.volumes == 0) out.last_used = to_the_hour(fact.last_used);
  return out;
}

/// In order of version; beyond the cap the ready ones used least recently are left out.
std::vector<NodeToolchain> list_toolchains(const std::vector<ToolchainFact>& facts) {
  std::vector<const ToolchainFact*> chosen;
  for (const ToolchainFact& fact : facts) chosen.push_back(&fact);
  if (chosen.size() > crds::kMaxNodeToolchains) {
    const auto weight = [](const ToolchainFact* f) {
      return std::tuple(f->phase != ToolchainPhase::Ready, f->volumes > 0, f->last_used);
    };
    std::stable_sort(chosen.begin(), chosen.end(),
                     [&](const auto* a, const auto* b) { return weight(a) > weight(b); });
    chosen.resize(crds::kMaxNodeToolchains);
  }
  std::vector<Sorted> sorted;
  for (const ToolchainFact* fact : chosen) sorted.push_back({fact->id, describe(*fact)});
  std::sort(sorted.begin(), sorted.end(), [](const Sorted& a, const Sorted& b) {
    return order_of(a.item, a.id) < order_of(b.item, b.id);
  });
  // The API refuses a list with two items of one key.
  sorted.erase(std::unique(sorted.begin(), sorted.end(),
                           [](const Sorted& a, const Sorted& b) {
                             return order_of(a.item, a.id) == order_of(b.item, b.id);
                           }),
               sorted.end());
  std::vector<NodeToolchain> out;
  out.reserve(sorted.size());
  for (Sorted& one : sorted) out.push_back(std::move(one.item));
  return out;
}

std::vector<crds::NodeCacheSize> list_caches(std::vector<CacheFact> facts) {
  std::sort(facts.begin(), facts.end(), [](const CacheFact& a, const CacheFact& b) {
    return std::tie(b.bytes, a.namespace_uid, a.environment) <
           std::tie(a.bytes, b.namespace_uid, b.environment);
  });
  if (facts.size() > crds::kMaxNodeCaches) facts.resize(crds::kMaxNodeCaches);
  std::vector<crds::NodeCacheSize> out;
  for (const CacheFact& fact : facts) {
    out.push_back({tidy(fact.namespace_uid, 64), tidy(fact.environment, 64),
                   signed_bytes(fact.bytes), to_the_hour(fact.last_used)});
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return std::tie(a.namespace_uid, a.environment) < std::tie(b.namespace_uid, b.environment);
  });
  return out;
}

std::string summarize(const std::vector<NodeToolchain>& toolchains) {
  std::string out;
  for (const NodeToolchain& t : toolchains) {
    std::string word = t.version;
    if (t.state != ToolchainPhase::Ready) {
      word += fmt::format(" ({})", goenv::enum_name(t.state));
    }
    if (!out.empty()) word.insert(0, ", ");
    if (out.size() + word.size() + 4 > kMaxSummary) return out + ", …";
    out += word;
  }
  return out;
}

/// The toolchains of one state, each with what `text` says of it.
template <class Text>
std::string enumerate(const std::vector<NodeToolchain>& toolchains, ToolchainPhase phase,
                      Text text) {
  std::string out;
  for (const NodeToolchain& t : toolchains) {
    if (t.state != phase) continue;
    if (!out.empty()) out += "; ";
    out += text(t);
  }
  return tidy(out, kMaxMessage);
}

Condition toolchains_condition(const std::vector<NodeToolchain>& toolchains) {
  Condition out;
  out.type = crds::kToolchainsReady;
  const std::string failed =
      enumerate(toolchains, ToolchainPhase::Failed, [](const NodeToolchain& t) {
        return fmt::format("go{}: {}: {}", t.version, t.reason, t.message);
      });
  const std::string fetching =
      enumerate(toolchains, ToolchainPhase::Fetching,
                [](const NodeToolchain& t) { return fmt::format("go{}", t.version); });
  out.status = failed.empty() && fetching.empty() ? ConditionStatus::True : ConditionStatus::False;
  if (!failed.empty()) {
    out.reason = "Failed";
    out.message = failed;
  } else if (!fetching.empty()) {
    out.reason = "Fetching";
    out.message = fetching + " being fetched";
  } else {
    out.reason = "AllReady";
    out.message = "all toolchains that environments declare are in the store";
  }
  return out;
}

/// Type and message of what is wrong with the disk, as the collector or a fetch met it.
std::optional<std::pair<std::string, std::string>> disk_problem(const NodeCacheFacts& facts) {
  if (facts.problem) return facts.problem;
  for (const ToolchainFact& t : facts.toolchains) {
    if (t.phase != ToolchainPhase::Failed) continue;
    if (t.reason == "DiskFull") return {{std::string(crds::kDiskFull), t.message}};
    if (t.reason == "ReadOnlyDisk") return {{std::string(crds::kReadOnlyFileSystem), t.message}};
    if (t.reason == "DiskError") return {{std::string(crds::kIoError), t.message}};
  }
  return std::nullopt;
}

std::vector<Condition> decide_conditions(const NodeCacheFacts& facts,
                                         const std::vector<NodeToolchain>& toolchains) {
  std::vector<Condition> out;
  const auto problem = disk_problem(facts);
  Condition ready;
  ready.type = crds::kReady;
  if (problem) {
    ready.status = ConditionStatus::False;
    ready.reason = problem->first;
    ready.message = tidy(problem->second, kMaxMessage);
  } else if (!facts.registered) {
    ready.status = ConditionStatus::False;
    ready.reason = "NotRegistered";
    ready.message =
        facts.registration_error.empty()
            ? "the kubelet has not registered the driver yet"
            : tidy("the kubelet refused the driver: " + facts.registration_error, kMaxMessage);
  } else {
    ready.status = ConditionStatus::True;
    ready.reason = "Serving";
    ready.message = "pods on this node get toolchains and caches";
  }
  out.push_back(std::move(ready));
  out.push_back(toolchains_condition(toolchains));
  if (problem) {
    Condition disk;
    disk.type = problem->first;
    disk.status = ConditionStatus::True;
    disk.reason = problem->first;
    disk.message = tidy(problem->second, kMaxMessage);
    out.push_back(std::move(disk));
  }
  return out;
}

}  // namespace

NodeCacheStatus decide_node_cache(const NodeCacheFacts& facts, const NodeCacheMemory& memory) {
  NodeCacheStatus out;
  out.agent_version = tidy(facts.agent_version, 64);
  out.toolchains = list_toolchains(facts.toolchains);
  out.caches = facts.looked ? list_caches(facts.caches) : memory.status.caches;
  out.toolchains_summary = summarize(out.toolchains);
  std::uint64_t bytes = 0;
  for (const ToolchainFact& t : facts.toolchains) {
    if (t.phase == ToolchainPhase::Ready) bytes += t.bytes;
  }
  for (const CacheFact& c : facts.caches) bytes += c.bytes;
  out.size = facts.looked ? signed_bytes(bytes) : std::max(memory.status.size, signed_bytes(bytes));
  if (facts.disk) {
    out.disk_size = signed_bytes(facts.disk->bytes);
    out.disk_used_percent = percent(
        facts.disk->bytes - std::min(facts.disk->bytes, facts.disk->bytes_free), facts.disk->bytes);
    out.inodes_used_percent =
        percent(facts.disk->inodes - std::min(facts.disk->inodes, facts.disk->inodes_free),
                facts.disk->inodes);
  } else {
    out.disk_size = memory.status.disk_size;
    out.disk_used_percent = memory.status.disk_used_percent;
    out.inodes_used_percent = memory.status.inodes_used_percent;
  }
  if (facts.freed_total > memory.freed_seen && facts.last_run > 0) {
    out.last_collected = facts.last_run;
    out.collected = signed_bytes(facts.freed_last);
  } else {
    out.last_collected = memory.status.last_collected;
    out.collected = memory.status.collected;
  }
  out.reclaimed = memory.reclaimed_before + signed_bytes(facts.freed_total);
  out.decisions = facts.looked ? facts.decisions : memory.status.decisions;
  if (out.decisions.size() > crds::kMaxNodeDecisions) out.decisions.resize(crds::kMaxNodeDecisions);
  for (crds::NodeDecision& decision : out.decisions) {
    decision.unit = tidy(decision.unit, kMaxText);
    decision.why = tidy(decision.why, kMaxText);
  }
  out.conditions = decide_conditions(facts, out.toolchains);
  for (Condition& condition : out.conditions) {
    const Condition* before = memory.status.find(condition.type);
    const bool same = before != nullptr && before->status == condition.status &&
                      !before->last_transition_time.empty();
    condition.last_transition_time =
        same ? before->last_transition_time : crds::format_time(facts.now);
  }
  return out;
}

}  // namespace gobuildenv::agent
