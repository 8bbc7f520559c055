#include "agent/node/node_cache_facts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string_view>

namespace gobuildenv::agent {
namespace {

using crds::ToolchainPhase;

std::int64_t unix_seconds(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

/// When the inventory was taken: its idle times count from there.
std::int64_t seen_at(const CollectionState& state, std::int64_t now) {
  return state.looked_at ? unix_seconds(*state.looked_at) : now;
}

/// When units were last used, by their path, as the last scan saw it.
std::map<std::string, std::int64_t> uses_of(const NodeCacheSources& sources) {
  std::map<std::string, std::int64_t> out;
  if (!sources.collection) return out;
  const auto& state = *sources.collection;
  const std::int64_t seen = seen_at(state, sources.now);
  for (const collector::Unit& unit : state.inventory.units) {
    out[unit.path] = seen - unit.idle.count();
  }
  return out;
}

void add_stored(const NodeCacheSources& sources, NodeCacheFacts& out) {
  const auto volumes = count_uses(sources.volumes);
  const auto uses = uses_of(sources);
  for (const StoredToolchain& stored : sources.stored) {
    const std::string unit = "toolchains/" + stored.id.name() + "/" + stored.key;
    ToolchainFact fact;
    fact.id = stored.id;
    fact.key = stored.key;
    fact.h1 = stored.record.h1;
    fact.bytes = stored.record.bytes;
    const auto count = volumes.find(unit);
    if (count != volumes.end()) fact.volumes = count->second;
    const auto used = uses.find(unit);
    fact.last_used = std::max(stored.record.fetched_at, used == uses.end() ? 0 : used->second);
    out.toolchains.push_back(std::move(fact));
  }
}

bool is_declared(const ToolchainWant& want, const NodeCacheSources& sources) {
  const auto& list = sources.environments;
  return std::any_of(list.begin(), list.end(), [&](const auto& environment) {
    const auto& versions = environment->versions;
    return environment->pinned == (want.pinned ? want.pinned->h1 : std::string()) &&
           std::find(versions.begin(), versions.end(), want.id.version) != versions.end();
  });
}

/// What is to be fetched ahead and has not begun. A failure of it is told no more: it is over, and
/// no longer what is waited for.
void add_waiting(const NodeCacheSources& sources, NodeCacheFacts& out) {
  for (const ToolchainWant& want : sources.waiting.wants) {
    // Pods do not wait: by now it may be there, or on its way.
    const bool begun =
        std::any_of(out.toolchains.begin(), out.toolchains.end(), [&](const ToolchainFact& fact) {
          return fact.id == want.id && !fact.key.starts_with("ns-");
        });
    if (begun || !is_declared(want, sources)) continue;
    ToolchainFact fact;
    fact.id = want.id;
    fact.phase = sources.waiting.held ? ToolchainPhase::Failed : ToolchainPhase::Fetching;
    if (sources.waiting.held) {
      fact.reason = kAboveHighWatermark;
      fact.message = fmt::format(
          "not fetched ahead while the disk is more than {} % full, in bytes or inodes; it is "
          "fetched when there is room, or when a pod asks for it",
          sources.high_percent);
    }
    out.toolchains.push_back(std::move(fact));
  }
}

bool is_waiting(const ToolchainWant& want, const NodeCacheSources& sources) {
  const auto& wants = sources.waiting.wants;
  return std::find(wants.begin(), wants.end(), want) != wants.end();
}

void add_unready(const NodeCacheSources& sources, NodeCacheFacts& out) {
  using Kind = ToolchainState::Kind;
  for (const ToolchainProvider::Entry& entry : sources.entries) {
    const ToolchainState& state = entry.state;
    if (state.kind != Kind::Fetching && state.kind != Kind::Failed) continue;
    if (!is_declared(entry.want, sources)) continue;
    if (state.kind == Kind::Failed && sources.waiting.held && is_waiting(entry.want, sources)) {
      continue;
    }
    ToolchainFact fact;
    fact.id = entry.want.id;
    if (entry.want.pinned) {
      fact.key = store_key(entry.want.pinned->h1, entry.want.pinned->namespace_uid);
      fact.h1 = entry.want.pinned->h1;
    }
    // One that is tried again stays failed until that goes right: a proxy that is down would make
    // every try two pieces of news.
    const bool failed = state.kind == Kind::Failed || !state.reason.empty();
    fact.phase = failed ? ToolchainPhase::Failed : ToolchainPhase::Fetching;
    if (state.kind == Kind::Fetching) {
      fact.bytes = state.bytes;
      fact.total_bytes = state.total_bytes;
    }
    fact.reason = state.reason;
    fact.message = state.message;
    out.toolchains.push_back(std::move(fact));
  }
}

void add_collection(const CollectionState& state, std::int64_t now, NodeCacheFacts& out) {
  const std::int64_t seen = seen_at(state, now);
  out.looked = true;
  for (const auto& [name, size] : state.inventory.environments) {
    const std::size_t slash = name.find('/');
    if (slash == std::string::npos) continue;
    const auto idle = state.inventory.cache_idle.find(name);
    const bool known = idle != state.inventory.cache_idle.end();
    out.caches.push_back({name.substr(0, slash), name.substr(slash + 1), size.bytes,
                          known ? seen - idle->second.count() : 0});
  }
  if (state.disk.bytes > 0) out.disk = state.disk;
  if (state.last_run) out.last_run = unix_seconds(*state.last_run);
  out.freed_last = state.freed_last.bytes;
  out.freed_total = state.freed_total.bytes;
  out.problem = state.problem;
  for (const ExplainedUnit& unit : state.explained) {
    out.decisions.push_back(
        {unit.unit, unit.went, static_cast<std::int64_t>(unit.bytes), unit.why});
  }
}

}  // namespace

NodeCacheFacts node_cache_facts(const NodeCacheSources& sources) {
  NodeCacheFacts out;
  out.now = sources.now;
  add_stored(sources, out);
  add_unready(sources, out);
  add_waiting(sources, out);
  if (sources.collection) add_collection(*sources.collection, sources.now, out);
  return out;
}

}  // namespace gobuildenv::agent
