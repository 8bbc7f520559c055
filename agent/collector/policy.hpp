#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/collector/units.hpp"

/// What goes, what stays, and why. Pure: no clock, no file system.
namespace gobuildenv::agent::collector {

/// Something that must not be collected, nor anything in it: a published volume, a pod that will
/// need it, a revision in a spec, a lease.
struct Root {
  std::string path;  ///< of a unit, of something in it, or of a folder that holds units
  std::string why;   ///< "volume csi-1 of pod ci/build-7"
  /// False: it is kept without being known to be in use, and grows older meanwhile.
  bool in_use = true;
};

/// A promotion waits for seconds, or until the API server is there again.
inline constexpr seconds kStuckAfter = std::chrono::hours(24);

/// In which order units go when space is needed.
enum class Order {
  LeastRecentlyUsed,
  GreedyDualSizeFrequency,  ///< credit = inflation + uses × refetch cost ÷ size; smallest first
};

/// How long and how much one environment may keep.
struct Retention {
  seconds unused_for{std::chrono::hours(168)};
  std::uint64_t max_bytes = std::uint64_t{20} << 30U;
};

/// The file system below the root, from statvfs.
struct Disk {
  std::uint64_t bytes = 0;       ///< that unprivileged users can fill in all
  std::uint64_t bytes_free = 0;  ///< of them, still free to unprivileged users
  std::uint64_t inodes = 0;      ///< 0: the file system makes them as needed
  std::uint64_t inodes_free = 0;
};

struct Limits {
  Retention node;  ///< of toolchains and of environments that are not in `environments`
  std::map<std::string, Retention, std::less<>> environments;
  /// `environments` has all that share caches: caches of others are nobody's.
  bool environments_complete = false;
  /// In percent of bytes and of inodes: above `high`, units go until `low` is reached. Below the
  /// kubelet's own 85 and 80, so that the two do not fight.
  unsigned high_percent = 75;
  unsigned low_percent = 70;
  /// Nothing goes that was used within this time, whatever the pressure.
  seconds min_idle{std::chrono::minutes(2)};
  /// Duration of the longest build that runs now, or that ran lately. Entries of a build cache stay
  /// for an hour plus this: go refreshes their stamps only once an hour.
  seconds longest_build{0};
  Order order = Order::GreedyDualSizeFrequency;

  [[nodiscard]] const Retention& of(const std::string& environment) const;
  [[nodiscard]] bool orphaned(const std::string& environment) const {
    return environments_complete && !environments.contains(environment);
  }
  /// A sentence about the first value that cannot be used, or nothing.
  [[nodiscard]] std::optional<std::string> error() const;
};

enum class Action : std::uint8_t { Keep, DropZip, Collect };

enum class Reason : std::uint8_t {
  // stays
  Rooted,        ///< `detail`: the root's why
  RecentlyUsed,  ///< within min_idle, or the build cache's floor
  Incomplete,    ///< go is extracting it
  WithinLimits,  ///< no limit asks for it
  LimitReached,  ///< space was needed, others gave enough
  SharedFiles,   ///< space is needed, but most of its files stay on the disk without it
  // goes
  Unused,  ///< longer than unusedFor
  EnvironmentSize,
  DiskBytes,
  DiskInodes,
  Replaced,   ///< a newer generation took its place
  Abandoned,  ///< a pod's layer without a volume
  Stuck,      ///< nobody could say for kStuckAfter whether it may become part of a layer
};

struct Decision {
  std::size_t unit = 0;  ///< index into the inventory
  Action action = Action::Keep;
  Reason reason = Reason::WithinLimits;
  std::string detail;
};

/// What one run is to do.
struct Plan {
  std::vector<Decision> steps;  ///< zips and units that go, in this order
  std::vector<Decision> stays;  ///< one for every other unit, in the inventory's order
  Totals planned;               ///< what the steps give back
  double inflation = 0;         ///< GreedyDual's, after the steps
  /// Space is still needed when all that may go has gone.
  bool short_of_space = false;
};

/// `trash` of the inventory counts as free already: it is being emptied.
[[nodiscard]] Plan plan(const Inventory& inventory, const std::vector<Root>& roots,
                        const Limits& limits, const Disk& disk, double inflation = 0);

/// The idle time from which `unit` goes by itself, though there is room, if its cache as a whole is
/// unused for as long as that cache's `unused_for`.
[[nodiscard]] seconds goes_after(const Unit& unit, const Limits& limits);

/// In how long it goes by itself if nobody uses it; zero: now.
[[nodiscard]] seconds goes_in(const Unit& unit, const Limits& limits);

/// The root that protects `unit`, or null.
[[nodiscard]] const Root* root_of(const Unit& unit, const std::vector<Root>& roots);

/// One sentence on a decision, with the numbers that led to it.
[[nodiscard]] std::string explain(const Decision& decision, const Inventory& inventory,
                                  const Limits& limits, const Disk& disk);

}  // namespace gobuildenv::agent::collector
