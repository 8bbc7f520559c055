#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// The collector's own time: seconds that an agent has watched this node, and nothing else.
///
/// Ages in wall time are worth nothing when the clock is set: a year forward and every cache is
/// "unused for a year", a year back and nothing ages any more. Node time only moves with the boot
/// clock, stands still while the node is off, and survives restarts of the agent. Stamps that the
/// file system made in wall time are translated with the history of how the two ran side by side;
/// whenever a stamp is ambiguous, the younger reading is taken.
namespace gobuildenv::agent::collector {

using std::chrono::seconds;

/// What the clocks say at one moment.
struct ClockReading {
  std::int64_t wall_ns = 0;  ///< CLOCK_REALTIME
  seconds since_boot{0};     ///< CLOCK_BOOTTIME
  std::string boot_id;       ///< changes with every boot
};

/// The kernel's clocks and /proc/sys/kernel/random/boot_id.
[[nodiscard]] ClockReading read_clocks();

/// A stretch in which wall clock and node time ran at one pace.
struct Segment {
  seconds node_start{0};
  seconds node_end{0};
  seconds wall_start{0};
  seconds wall_end{0};
  friend bool operator==(const Segment&, const Segment&) = default;
};

class NodeTime {
 public:
  NodeTime() = default;
  /// As saved. Segments that contradict each other are dropped from the older side.
  NodeTime(std::vector<Segment> segments, seconds since_boot, std::string boot_id);

  /// Takes the time that has passed since the last reading. A reading of another boot adds none.
  void advance(const ClockReading& reading);

  [[nodiscard]] seconds now() const;

  /// When, in node time, the wall clock stamped something `wall_ns`; at most 5 seconds before the
  /// true moment, never later than now(). Empty: the stamp lies in the future and says nothing.
  [[nodiscard]] std::optional<seconds> of_stamp(std::int64_t wall_ns) const;

  [[nodiscard]] const std::vector<Segment>& segments() const { return segments_; }
  [[nodiscard]] seconds since_boot() const { return since_boot_; }
  [[nodiscard]] const std::string& boot_id() const { return boot_id_; }

 private:
  std::vector<Segment> segments_;  ///< oldest first; node times without gaps
  seconds since_boot_{0};          ///< of the last reading
  std::string boot_id_;
};

}  // namespace gobuildenv::agent::collector
