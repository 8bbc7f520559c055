#include "agent/node/collection_log.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "agent/node/collection_state.hpp"

namespace gobuildenv::agent {

namespace {
/// Lines about single units in the log of one run.
constexpr std::size_t kLogged = 20;
}  // namespace

void log_run(const collector::RunReport& report, const collector::Limits& limits, const char* why,
             double seconds) {
  for (std::size_t i = 0; i < report.outcomes.size() && i < kLogged; ++i) {
    const ExplainedUnit unit = explain_step(report, limits, i);
    if (report.outcomes[i].result == collector::Removal::Failed) {
      spdlog::warn("unit stays unit=\"{}\" why=\"{}\"", unit.unit, unit.why);
    } else if (unit.went) {
      spdlog::info("unit collected kind={} bytes={} unit=\"{}\" why=\"{}\"",
                   collector::to_string(unit.kind), unit.bytes, unit.unit, unit.why);
    }
  }
  const auto went =
      std::count_if(report.outcomes.begin(), report.outcomes.end(),
                    [](const auto& outcome) { return outcome.result == collector::Removal::Done; });
  const bool news = !report.outcomes.empty() || report.problem || report.plan.short_of_space;
  spdlog::log(news ? spdlog::level::info : spdlog::level::debug,
              "collector ran trigger={} units={} went={} bytes={} inodes={} failures={} "
              "short_of_space={} seconds={:.3f}",
              why, report.inventory.units.size(), went, report.freed.bytes, report.freed.inodes,
              report.failures, report.plan.short_of_space, seconds);
  if (report.problem) {
    spdlog::warn("collector has a problem reason={} error=\"{}\"", report.problem->first,
                 report.problem->second);
  }
}

}  // namespace gobuildenv::agent
