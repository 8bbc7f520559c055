#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "agent/collector/node_time.hpp"
#include "agent/collector/tree_scan.hpp"

/// A GOCACHE (cmd/go/internal/cache/cache.go): shards 00 to ff with entries <hash>-a, a line that
/// names an action's output, and <hash>-d, the output, for executables a folder. Go sets an entry's
/// modification time when it uses it, but only when that is more than an hour old, so entries are
/// told apart by the hour of their last use and no finer.
namespace gobuildenv::agent::collector {

/// How old a stamp is, in the collector's time; empty: it lies in the future.
using IdleOf = std::function<std::optional<seconds>(std::int64_t wall_ns)>;

/// Entries by whole hours since their last use.
using Cohorts = std::map<std::int64_t, Totals>;

/// What one scan knows of a shard, for the next.
struct ShardMemo {
  std::uint64_t inode = 0;
  std::int64_t modified = 0;
  std::int64_t changed = 0;
  bool settled = false;
  Totals size;
};

struct BuildMemo {
  std::array<ShardMemo, 256> shards;
};

struct BuildCacheScan {
  Cohorts cohorts;  ///< empty after a scan for sizes
  /// By the same hours: bytes of entries that were counted before, under other names.
  std::map<std::int64_t, std::uint64_t> shared;
  Totals entries;  ///< all of them
  Totals other;    ///< README, trim.txt, fuzz corpora: never collected
  std::uint64_t repaired_stamps = 0;
};

/// What is asked of a scan. Sizes: a shard whose folder has not changed is taken as it was. Uses:
/// every entry's stamp is read, since a use changes only that.
enum class Depth { Sizes, Uses };

/// Scans the build cache `dir`; `memo` is replaced. With `repair`, entries stamped in the future
/// are stamped now, since go would not refresh them until that future comes: they would never age.
[[nodiscard]] BuildCacheScan scan_build_cache(const Fd& dir, TreeScan& scan, BuildMemo& memo,
                                              Depth depth, const IdleOf& idle_of, bool repair);

enum class BuildEntry : std::uint8_t { None, Action, Data };
/// What the name of a file in shard `shard` ("0a") says it is.
[[nodiscard]] BuildEntry build_entry(std::string_view shard, std::string_view name);

/// "00" … "ff".
[[nodiscard]] std::string shard_name(std::size_t shard);

}  // namespace gobuildenv::agent::collector
