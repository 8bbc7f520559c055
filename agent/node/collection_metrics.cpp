#include "agent/node/collection_metrics.hpp"

#include <string>

namespace gobuildenv::agent {
namespace {

using collector::UnitKind;

constexpr const char* kBytes = "gobuildenv_cache_bytes";
constexpr const char* kBytesHelp =
    "Disk taken below the agent's root, by kind of unit; other is never collected, trash is on its "
    "way out.";
constexpr const char* kInodes = "gobuildenv_cache_inodes";
constexpr const char* kInodesHelp = "Inodes taken below the agent's root, by kind of unit.";
constexpr const char* kRuns = "gobuildenv_collector_runs_total";
constexpr const char* kRunsHelp =
    "Runs of the collector, by result: ok, problem (it ran, but not all could be read or removed) "
    "or failed.";

double number(std::uint64_t value) { return static_cast<double>(value); }

}  // namespace

CollectionMetrics::CollectionMetrics(kube::Metrics& metrics)
    : other_bytes_(metrics.gauge(kBytes, kBytesHelp, {{"kind", "other"}})),
      trash_bytes_(metrics.gauge(kBytes, kBytesHelp, {{"kind", "trash"}})),
      trash_inodes_(metrics.gauge(kInodes, kInodesHelp, {{"kind", "trash"}})),
      disk_bytes_(metrics.gauge("gobuildenv_disk_bytes", "Size of the root's file system.")),
      disk_free_(metrics.gauge("gobuildenv_disk_free_bytes",
                               "Free to unprivileged users on the root's file system.")),
      disk_inodes_(metrics.gauge("gobuildenv_disk_inodes",
                                 "Inodes of the root's file system; 0 where it makes them as "
                                 "needed.")),
      disk_inodes_free_(
          metrics.gauge("gobuildenv_disk_free_inodes", "Free inodes of the root's file system.")),
      runs_ok_(metrics.counter(kRuns, kRunsHelp, {{"result", "ok"}})),
      runs_problem_(metrics.counter(kRuns, kRunsHelp, {{"result", "problem"}})),
      runs_failed_(metrics.counter(kRuns, kRunsHelp, {{"result", "failed"}})),
      failures_(metrics.counter("gobuildenv_collector_failures_total",
                                "Units that should have gone and could not be removed.")),
      last_run_(metrics.gauge("gobuildenv_collector_last_run_timestamp_seconds",
                              "When the last run of the collector ended, in Unix time.")),
      run_seconds_(metrics.gauge("gobuildenv_collector_last_run_seconds",
                                 "Duration of the last run of the collector.")),
      short_of_space_(
          metrics.gauge("gobuildenv_collector_short_of_space",
                        "1 when the last run could not make the room that limits ask for.")) {
  for (std::size_t i = 0; i < kUnitKinds; ++i) {
    const kube::MetricLabels labels{
        {"kind", std::string(collector::to_string(static_cast<UnitKind>(i)))}};
    kinds_[i] = {
        metrics.gauge("gobuildenv_cache_units", "What could be collected one by one.", labels),
        metrics.gauge(kBytes, kBytesHelp, labels),
        metrics.gauge(kInodes, kInodesHelp, labels),
        metrics.counter("gobuildenv_collector_collected_units_total", "Units collected.", labels),
        metrics.counter("gobuildenv_collector_reclaimed_bytes_total",
                        "Disk given back, counted when a unit goes to the trash.", labels),
        metrics.counter("gobuildenv_collector_reclaimed_inodes_total", "Inodes given back.",
                        labels)};
  }
}

void CollectionMetrics::disk(const collector::Disk& disk) const {
  disk_bytes_.set(number(disk.bytes));
  disk_free_.set(number(disk.bytes_free));
  disk_inodes_.set(number(disk.inodes));
  disk_inodes_free_.set(number(disk.inodes_free));
}

void CollectionMetrics::look(const CollectionState& state) const {
  for (std::size_t i = 0; i < kUnitKinds; ++i) {
    kinds_[i].units.set(number(state.kinds[i].units));
    kinds_[i].bytes.set(number(state.kinds[i].size.bytes));
    kinds_[i].inodes.set(number(state.kinds[i].size.inodes));
  }
  other_bytes_.set(number(state.inventory.other.bytes));
  trash_bytes_.set(number(state.inventory.trash.bytes));
  trash_inodes_.set(number(state.inventory.trash.inodes));
  disk(state.disk);
}

void CollectionMetrics::run(const collector::RunReport& report, double seconds,
                            std::chrono::system_clock::time_point ended) const {
  for (std::size_t i = 0; i < report.outcomes.size(); ++i) {
    const collector::Outcome& outcome = report.outcomes[i];
    const auto kind = report.inventory.units[report.plan.steps[i].unit].kind;
    const Kind& series = kinds_[static_cast<std::size_t>(kind)];
    if (outcome.result == collector::Removal::Done) series.collected.add();
    series.reclaimed_bytes.add(number(outcome.freed.bytes));
    series.reclaimed_inodes.add(number(outcome.freed.inodes));
  }
  failures_.add(number(report.failures));
  (report.problem || report.failures > 0 ? runs_problem_ : runs_ok_).add();
  last_run_.set(std::chrono::duration<double>(ended.time_since_epoch()).count());
  run_seconds_.set(seconds);
  short_of_space_.set(report.plan.short_of_space ? 1 : 0);
}

void CollectionMetrics::run_failed() const { runs_failed_.add(); }

}  // namespace gobuildenv::agent
