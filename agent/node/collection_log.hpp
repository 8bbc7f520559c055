#pragma once

#include "agent/collector/collector.hpp"

namespace gobuildenv::agent {

/// One line for a run, before it one for each of the first units that went or could not go. Runs
/// without news are for debugging. `why`: what triggered it.
void log_run(const collector::RunReport& report, const collector::Limits& limits, const char* why,
             double seconds);

}  // namespace gobuildenv::agent
