#include "agent/collector/node_time.hpp"

#include <fcntl.h>

#include <algorithm>
#include <ctime>

#include "agent/collector/fd.hpp"

namespace gobuildenv::agent::collector {

namespace {

/// Wall and boot clock may drift this far apart between two readings and still be one segment: NTP
/// slews, and both are cut to seconds.
constexpr seconds kSlack{5};
/// Segments kept. A node whose clock is set more often than this loses the oldest, and what was
/// stamped then counts as younger than it is.
constexpr std::size_t kMaxSegments = 64;
/// Beyond this, a saved time is damage, not a time (about 30,000 years).
constexpr seconds kHorizon{1'000'000'000'000};

seconds floor_seconds(std::int64_t ns) {
  return std::chrono::floor<seconds>(std::chrono::nanoseconds(ns));
}

}  // namespace

ClockReading read_clocks() {
  ClockReading out;
  timespec time{};
  // The coarse clock is the one the kernel stamps files with.
  ::clock_gettime(CLOCK_REALTIME_COARSE, &time);
  out.wall_ns = std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  out.since_boot = seconds(time.tv_sec);
  if (const auto proc = open_trusted_folder("/proc/sys/kernel/random")) {
    if (auto id = read_at(proc->get(), "boot_id", 64)) out.boot_id = std::move(*id);
  }
  while (!out.boot_id.empty() && out.boot_id.back() == '\n') out.boot_id.pop_back();
  return out;
}

NodeTime::NodeTime(std::vector<Segment> segments, seconds since_boot, std::string boot_id)
    : since_boot_(since_boot), boot_id_(std::move(boot_id)) {
  const auto sane = [](seconds value) { return value > -kHorizon && value < kHorizon; };
  for (auto it = segments.rbegin(); it != segments.rend(); ++it) {
    const bool in_range =
        sane(it->node_start) && sane(it->node_end) && sane(it->wall_start) && sane(it->wall_end);
    const bool forward = it->node_start >= seconds(0) && it->node_end >= it->node_start &&
                         it->wall_end >= it->wall_start;
    const bool joins = segments_.empty() || it->node_end <= segments_.back().node_start;
    if (!in_range || !forward || !joins) break;
    segments_.push_back(*it);
  }
  std::reverse(segments_.begin(), segments_.end());
}

seconds NodeTime::now() const { return segments_.empty() ? seconds(0) : segments_.back().node_end; }

void NodeTime::advance(const ClockReading& reading) {
  const seconds wall = floor_seconds(reading.wall_ns);
  const bool same_boot = !segments_.empty() && reading.boot_id == boot_id_;
  const seconds passed =
      same_boot ? std::max(seconds(0), reading.since_boot - since_boot_) : seconds(0);
  // What this segment may have stamped before anybody looked.
  seconds unseen = kSlack + (same_boot ? passed : std::max(seconds(0), reading.since_boot));
  since_boot_ = reading.since_boot;
  boot_id_ = reading.boot_id;
  if (segments_.empty()) unseen = seconds(0);
  if (same_boot) {
    Segment& last = segments_.back();
    last.node_end += passed;
    last.wall_end += passed;
    const seconds off = wall - last.wall_end;
    if (off <= kSlack && off >= -kSlack) return;
  }
  const seconds node = now();
  seconds wall_start = wall - unseen;
  // The last boot may have gone on after anybody looked, for how long nobody knows.
  if (!same_boot && !segments_.empty())
    wall_start = std::min(wall_start, segments_.back().wall_end);
  segments_.push_back({node, node, wall_start, wall});
  if (segments_.size() > kMaxSegments) segments_.erase(segments_.begin());
}

std::optional<seconds> NodeTime::of_stamp(std::int64_t wall_ns) const {
  const seconds stamp = floor_seconds(wall_ns);
  if (segments_.empty()) return std::nullopt;
  for (auto it = segments_.rbegin(); it != segments_.rend(); ++it) {
    if (stamp < it->wall_start || stamp > it->wall_end) continue;
    return std::max(it->node_start, it->node_end - (it->wall_end - stamp));
  }
  const Segment& last = segments_.back();
  if (stamp > last.wall_end + kSlack) return std::nullopt;
  if (stamp > last.wall_end) return last.node_end;
  // Made while nobody watched: before the first segment or between two. The latest such moment.
  return last.node_start;
}

}  // namespace gobuildenv::agent::collector
