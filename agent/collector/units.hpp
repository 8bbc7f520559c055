#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/collector/node_time.hpp"
#include "agent/collector/tree_scan.hpp"

/// What can be collected. A unit is the smallest thing whose absence go repairs by itself: a whole
/// toolchain, a whole module version, an action and its output. Never a file.
namespace gobuildenv::agent::collector {

enum class UnitKind : std::uint8_t {
  Toolchain,   ///< toolchains/<name>/<key>
  Module,      ///< an extracted module with its zip and ziphash
  Vcs,         ///< a bare clone below cache/vcs
  Builds,      ///< the entries of one build cache that were last used in the same hour
  Generation,  ///< a lower layer that a newer one has replaced, or whose environment is gone
  Private,     ///< a pod's own layer whose volume is gone
  Promotion,   ///< what a trusted pod wrote, waiting to become part of a shared cache's layer
};

[[nodiscard]] std::string_view to_string(UnitKind kind);

struct Unit {
  UnitKind kind = UnitKind::Toolchain;
  /// Below the root, without a leading slash. Of a module: the cache's path, "/", then
  /// "example.com/m@v1.0.0"; of builds: the cache's path.
  std::string path;
  std::string environment;      ///< "<namespace uid>/<name>"; empty when the node's
  Totals size;                  ///< what collecting it gives back
  std::uint64_t zip_bytes = 0;  ///< of `size`, what dropping the zip alone gives back
  /// Of its files, not in `size`: another unit has them too, an older layer, and keeps them on the
  /// disk.
  std::uint64_t shared_bytes = 0;
  seconds idle{0};  ///< since the last known use; of builds: of the latest used of them
  /// Of what lies in a cache: since a pod had the cache, as far as is known. Pods read it through
  /// an overlay, which leaves no stamp on what they use of it.
  seconds cache_idle = seconds::max();
  double credit = 0;  ///< of GreedyDual-Size-Frequency; see ages.hpp
  /// The go command is extracting it, or was interrupted in that.
  bool incomplete = false;
  /// Of a generation: it is the newest, but its environment is gone.
  bool orphaned = false;

  /// Since it, or the cache as a whole, was used: what is old alone does not go by age. Which units
  /// of a cache go first when room is needed, their own `idle` says.
  [[nodiscard]] seconds unused() const { return std::min(idle, cache_idle); }

  /// Unique among units: `path`, for builds with the hour of their last use.
  [[nodiscard]] std::string id() const;
};

/// Seconds it takes to have a unit again: a round trip and the transfer, a clone, a build. Rough on
/// purpose: only the order of units comes from it.
[[nodiscard]] double refetch_seconds(UnitKind kind, std::uint64_t bytes);
/// Refetch cost over size, what GreedyDual-Size-Frequency multiplies by the number of uses.
[[nodiscard]] double refetch_value(UnitKind kind, const Totals& size);

/// What a scan found below the root.
struct Inventory {
  std::vector<Unit> units;
  std::map<std::string, Totals, std::less<>>
      environments;  ///< all that an environment's caches take
  /// How long ago a pod last had one of an environment's newest layers.
  std::map<std::string, std::chrono::seconds, std::less<>> cache_idle;
  Totals other;  ///< lock files, module lists, the checksum database's tiles: never collected
  Totals trash;  ///< already given up, still on the disk
  std::uint64_t trashed = 0;          ///< units in the trash
  std::uint64_t repaired_stamps = 0;  ///< build entries stamped in the future, stamped now instead
  ScanProblems problems;
};

}  // namespace gobuildenv::agent::collector
