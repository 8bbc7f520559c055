#include "agent/node/collection_state.hpp"

#include <algorithm>
#include <utility>

#include "agent/collector/text.hpp"

namespace gobuildenv::agent {
namespace {

using collector::Inventory;
using collector::Totals;
using collector::Unit;
using collector::UnitKind;

/// Of each half of what a run explains.
constexpr std::size_t kExplained = 16;

std::size_t index(UnitKind kind) { return static_cast<std::size_t>(kind); }

std::uint64_t less(std::uint64_t from, std::uint64_t what) { return from - std::min(from, what); }

void largest_first(std::vector<ExplainedUnit>& units, std::size_t most) {
  std::stable_sort(units.begin(), units.end(), [](const ExplainedUnit& a, const ExplainedUnit& b) {
    return a.bytes > b.bytes;
  });
  if (units.size() > most) units.resize(most);
}

ExplainedUnit explained(const collector::Decision& decision, const collector::RunReport& report,
                        const collector::Limits& limits) {
  const Unit& unit = report.inventory.units[decision.unit];
  return {collector::printable(unit.id()), unit.kind, false, unit.size.bytes,
          collector::explain(decision, report.inventory, limits, report.disk)};
}

}  // namespace

std::array<KindTotals, kUnitKinds> totals_by_kind(const Inventory& inventory) {
  std::array<KindTotals, kUnitKinds> out{};
  // What environments' caches take is units, what no unit holds, and build entries.
  Totals builds;
  for (const auto& [environment, total] : inventory.environments) builds += total;
  builds = {less(builds.bytes, inventory.other.bytes), less(builds.inodes, inventory.other.inodes)};
  for (const Unit& unit : inventory.units) {
    KindTotals& kind = out[index(unit.kind)];
    kind.units += 1;
    if (unit.kind == UnitKind::Builds) continue;
    kind.size += unit.size;
    if (unit.environment.empty()) continue;
    builds = {less(builds.bytes, unit.size.bytes), less(builds.inodes, unit.size.inodes)};
  }
  out[index(UnitKind::Builds)].size = builds;
  return out;
}

Inventory left_by(collector::RunReport report) {
  Inventory& inventory = report.inventory;
  std::vector<bool> gone(inventory.units.size());
  for (std::size_t i = 0; i < report.outcomes.size(); ++i) {
    const collector::Outcome& outcome = report.outcomes[i];
    const collector::Decision& step = report.plan.steps[i];
    gone[step.unit] =
        outcome.result == collector::Removal::Done && step.action == collector::Action::Collect;
    const auto total = inventory.environments.find(inventory.units[step.unit].environment);
    if (total == inventory.environments.end()) continue;
    total->second = {less(total->second.bytes, outcome.freed.bytes),
                     less(total->second.inodes, outcome.freed.inodes)};
  }
  inventory.trash += report.freed;
  std::vector<Unit> units;
  for (std::size_t i = 0; i < gone.size(); ++i) {
    if (!gone[i]) units.push_back(std::move(inventory.units[i]));
  }
  inventory.units = std::move(units);
  return std::move(inventory);
}

Inventory without_small_units(Inventory inventory) {
  std::erase_if(inventory.units, [](const Unit& unit) {
    return unit.kind == UnitKind::Module || unit.kind == UnitKind::Vcs ||
           unit.kind == UnitKind::Builds;
  });
  inventory.units.shrink_to_fit();
  return inventory;
}

ExplainedUnit explain_step(const collector::RunReport& report, const collector::Limits& limits,
                           std::size_t step) {
  ExplainedUnit out = explained(report.plan.steps[step], report, limits);
  const collector::Outcome& outcome = report.outcomes[step];
  out.went = outcome.result == collector::Removal::Done;
  out.bytes = outcome.freed.bytes;
  if (outcome.result == collector::Removal::Failed) out.why = "cannot be removed: " + outcome.text;
  return out;
}

std::vector<ExplainedUnit> explain_run(const collector::RunReport& report,
                                       const collector::Limits& limits, std::size_t most) {
  std::vector<ExplainedUnit> out;
  for (std::size_t i = 0; i < report.outcomes.size(); ++i) {
    out.push_back(explain_step(report, limits, i));
  }
  largest_first(out, most);
  std::vector<ExplainedUnit> stays;
  for (const collector::Decision& decision : report.plan.stays) {
    stays.push_back(explained(decision, report, limits));
  }
  largest_first(stays, most);
  out.insert(out.end(), std::make_move_iterator(stays.begin()),
             std::make_move_iterator(stays.end()));
  return out;
}

CollectionState after_run(CollectionState before, collector::RunReport report,
                          const collector::Limits& limits,
                          std::chrono::system_clock::time_point ended) {
  CollectionState next = std::move(before);
  next.last_run = next.looked_at = ended;
  if (report.freed.inodes > 0) next.freed_last = report.freed;
  next.freed_total += report.freed;
  next.short_of_space = report.plan.short_of_space;
  next.explained = explain_run(report, limits, kExplained);
  next.problem = report.problem;
  next.disk = report.disk;
  for (const collector::Outcome& outcome : report.outcomes) {
    if (outcome.result == collector::Removal::Failed && !next.problem) {
      next.problem = {"IOError", outcome.text};
    }
  }
  Inventory left = left_by(std::move(report));
  next.kinds = totals_by_kind(left);
  next.inventory = without_small_units(std::move(left));
  return next;
}

}  // namespace gobuildenv::agent
