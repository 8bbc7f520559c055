#pragma once

#include <array>
#include <vector>

#include "agent/node/collection.hpp"

/// From what the collector found and did to what the agent tells. Pure.
namespace gobuildenv::agent {

/// Totals by kind; those of build entries also where the scan was for sizes alone.
[[nodiscard]] std::array<KindTotals, kUnitKinds> totals_by_kind(
    const collector::Inventory& inventory);

/// What is known after a run that ended at `ended`.
[[nodiscard]] CollectionState after_run(CollectionState before, collector::RunReport report,
                                        const collector::Limits& limits,
                                        std::chrono::system_clock::time_point ended);

/// The inventory of a run as it is after what the run took away.
[[nodiscard]] collector::Inventory left_by(collector::RunReport report);

/// `inventory` without modules, clones and build entries among its units.
[[nodiscard]] collector::Inventory without_small_units(collector::Inventory inventory);

/// The `most` largest units that went, then the `most` largest that stay.
[[nodiscard]] std::vector<ExplainedUnit> explain_run(const collector::RunReport& report,
                                                     const collector::Limits& limits,
                                                     std::size_t most);

/// The explanation of one step of a run: `report.plan.steps[step]` and what became of it.
[[nodiscard]] ExplainedUnit explain_step(const collector::RunReport& report,
                                         const collector::Limits& limits, std::size_t step);

}  // namespace gobuildenv::agent
