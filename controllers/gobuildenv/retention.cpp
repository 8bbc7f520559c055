#include "controllers/gobuildenv/retention.hpp"

#include <algorithm>
#include <utility>

#include "controllers/gobuildenv/status.hpp"

namespace gobuildenv::controllers {
namespace {

/// maxItems of status.history. Older ones are kept all the same, by their age.
constexpr std::size_t kMaxHistory = 256;

/// A ConfigMap that does not serve, and since when.
struct Superseded {
  const ConfigMapFact* fact;
  std::int64_t since;
  bool in_history;
};

}  // namespace

Retention decide_retention(const EnvironmentFacts& facts, const crds::Status& next,
                           std::int64_t keep_superseded) {
  std::vector<Superseded> candidates;
  for (const ConfigMapFact& fact : facts.config_maps) {
    if (fact.is_export || fact.ownership != Ownership::Ours || !fact.intact || fact.deleting ||
        fact.hash == next.current || fact.hash == next.updated) {
      continue;
    }
    // Without an entry it was created by a pass whose status never arrived.
    Superseded candidate{&fact, fact.created, false};
    for (const crds::RevisionRecord& entry : next.history) {
      if (entry.name != fact.hash) continue;
      candidate.in_history = true;
      const std::int64_t since = parse_time(entry.superseded_at);
      candidate.since = since != 0 ? since : facts.now;
    }
    candidates.push_back(candidate);
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Superseded& a, const Superseded& b) {
                     if (a.in_history != b.in_history) return a.in_history;
                     return std::pair(b.since, b.fact->hash) < std::pair(a.since, a.fact->hash);
                   });

  Retention out;
  std::set<std::string> kept;
  std::int32_t room = std::max<std::int32_t>(facts.history_limit, 0);
  for (const Superseded& candidate : candidates) {
    const std::string& hash = candidate.fact->hash;
    const std::int64_t due = candidate.since + keep_superseded - facts.now;
    if (candidate.in_history && room > 0) {
      --room;
      kept.insert(hash);
    } else if (facts.pods.in_use.contains(hash)) {
      kept.insert(hash);
    } else if (due > 0) {
      kept.insert(hash);
      out.recheck = out.recheck ? std::min(*out.recheck, due) : due;
    } else {
      out.deletes.push_back({candidate.fact->name, candidate.fact->uid, "superseded"});
    }
  }
  for (const crds::RevisionRecord& entry : next.history) {
    if (out.history.size() == kMaxHistory) break;
    if (entry.name == next.current || kept.contains(entry.name)) out.history.push_back(entry);
  }
  return out;
}

}  // namespace gobuildenv::controllers
