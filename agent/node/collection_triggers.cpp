#include "agent/node/collection_triggers.hpp"

#include <algorithm>

namespace gobuildenv::agent {
namespace {

using TimePoint = kube::Clock::TimePoint;
using std::chrono::seconds;

/// Between two runs that the disk asks for: the first one's trash must get a chance to be emptied.
constexpr seconds kPressurePause{30};

bool is_over(std::uint64_t all, std::uint64_t free, unsigned percent) {
  const std::uint64_t used = all - std::min(all, free);
  return all > 0 && used > all / 100 * percent + all % 100 * percent / 100;
}

/// The earliest of what may happen, with what it is.
struct Next {
  TimePoint at = TimePoint::max();
  Turn turn;

  void offer(TimePoint when, Turn::Kind kind, const char* why = "") {
    if (when >= at) return;
    at = when;
    turn = {kind, why, {}};
  }
};

seconds pause_after(const TriggerState& state, const TriggerOptions& options) {
  return state.run_was_vain ? options.interval : std::min(options.interval, kPressurePause);
}

void offer_runs(Next& next, const TriggerState& state, const TriggerOptions& options) {
  if (!state.last_run) {
    next.offer(state.started + options.settle, Turn::Kind::Run, "interval");
    return;
  }
  const TimePoint last = *state.last_run;
  if (state.over_high) {
    next.offer(last + pause_after(state, options), Turn::Kind::Run, "disk");
  }
  const TimePoint regular = last + options.interval;
  if (state.volumes || state.changed_since_run) next.offer(regular, Turn::Kind::Run, "interval");
  if (state.due) next.offer(std::max(*state.due, regular), Turn::Kind::Run, "age");
  next.offer(last + std::max(options.quiet, options.interval), Turn::Kind::Run, "interval");
}

/// Nobody says what pods need: only where the disk asks for it.
void offer_runs_alone(Next& next, const TriggerState& state, const TriggerOptions& options) {
  if (!state.over_high) return;
  TimePoint at = state.started + options.alone;
  if (state.last_run) at = std::max(at, *state.last_run + pause_after(state, options));
  next.offer(at, Turn::Kind::Run, "disk");
}

}  // namespace

Turn next_turn(const TriggerState& state, const TriggerOptions& options, TimePoint now) {
  Next next;
  // In order of price: of what is due at the same time, the first is done.
  const TimePoint check =
      state.last_disk_check ? *state.last_disk_check + options.disk_check : state.started;
  const TimePoint first_look = state.started;
  if (check <= now) return {Turn::Kind::CheckDisk, "", {}};
  next.offer(check, Turn::Kind::CheckDisk);
  if (state.ready) {
    offer_runs(next, state, options);
  } else {
    offer_runs_alone(next, state, options);
  }
  if (!state.last_look) next.offer(first_look, Turn::Kind::Measure);
  if (state.changed && state.last_look) {
    next.offer(*state.last_look + options.measure_after, Turn::Kind::Measure);
  }
  if (next.at <= now) return next.turn;
  return {Turn::Kind::Wait, "", next.at};
}

bool over_high(const collector::Disk& disk, const collector::Limits& limits) {
  return is_over(disk.bytes, disk.bytes_free, limits.high_percent) ||
         is_over(disk.inodes, disk.inodes_free, limits.high_percent);
}

std::optional<seconds> until_due(const collector::Inventory& inventory, const collector::Plan& plan,
                                 const collector::Limits& limits) {
  std::optional<seconds> out;
  for (const collector::Decision& decision : plan.stays) {
    if (decision.reason == collector::Reason::Rooted) continue;
    const collector::Unit& unit = inventory.units[decision.unit];
    const seconds left = goes_in(unit, limits);
    out = std::min(out.value_or(left), left);
  }
  return out;
}

}  // namespace gobuildenv::agent
