#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/collector/ages.hpp"
#include "agent/collector/build_cache.hpp"
#include "agent/collector/module_cache.hpp"
#include "agent/collector/policy.hpp"
#include "agent/collector/units.hpp"

/// Everything below an agent's root as an inventory of units.
namespace gobuildenv::agent::collector {

/// What a scan leaves for the next one; lost with the process, which costs one full scan.
struct RootMemo {
  std::map<std::string, TreeMemo, std::less<>> trees;
  std::map<std::string, ModuleMemos, std::less<>> modules;
  std::map<std::string, std::unique_ptr<BuildMemo>, std::less<>> builds;
};

struct ScanOptions {
  Depth depth = Depth::Uses;
  /// Sets access times back so that the next use shows, and repairs stamps of the future. Off for a
  /// dry run, which changes nothing.
  bool touch = false;
  /// Whether nobody owns the caches of an environment any more: the newest generation of each is a
  /// unit then. While nobody can say (nullopt), it is none, and its age goes on.
  std::function<std::optional<bool>(const std::string& environment)> orphaned = [](const auto&) {
    return false;
  };
};

/// Scans the root folder, records in `ages` what it saw of each unit, and forgets the ages of
/// units that are gone. After a scan for sizes there are no units of builds.
[[nodiscard]] Inventory scan_root(const Fd& root, const std::vector<Root>& roots, AgeBook& ages,
                                  RootMemo& memo, std::int64_t wall_ns, const ScanOptions& options);

/// What the records below volumes/ keep in use. A record that cannot be read keeps everything.
[[nodiscard]] std::vector<Root> roots_of_volumes(const Fd& root);

/// Space and inodes of the file system.
[[nodiscard]] IoResult<Disk> disk_of(const Fd& root);

}  // namespace gobuildenv::agent::collector
