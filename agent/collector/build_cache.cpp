#include "agent/collector/build_cache.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

namespace gobuildenv::agent::collector {

namespace {

constexpr std::int64_t kRacyNs = 1'000'000'000;
constexpr std::int64_t kGrowingNs = 10'000'000'000;
constexpr std::size_t kNameSize = 66;  // 64 hexadecimal digits, "-a" or "-d"

struct Scanner {
  TreeScan& scan;
  Depth depth;
  const IdleOf& idle_of;
  bool repair;
  BuildCacheScan out;

  /// An executable's folder with the one file in it.
  Totals folder(const Fd& shard, const std::string& name) {
    auto fd = open_folder(shard.get(), name);
    if (!fd) return {};
    TreeMemo memo;
    return scan.count(*fd, memo);
  }

  void entry(const Fd& shard, const char* name, const FileStat& stat, Totals& shard_size) {
    Totals size;
    const std::uint64_t shared = scan.shared_bytes();
    if (stat.type == EntryType::Folder) {
      size = folder(shard, name);
    } else {
      scan.add_file(stat, size);
    }
    shard_size += size;
    if (depth == Depth::Sizes) return;
    auto idle = idle_of(stat.modified);
    if (!idle) {
      constexpr timespec kNow[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                                    {.tv_sec = 0, .tv_nsec = UTIME_NOW}};
      if (repair && ::utimensat(shard.get(), name, kNow, AT_SYMLINK_NOFOLLOW) == 0)
        out.repaired_stamps += 1;
      idle = seconds(0);
    }
    const auto hour = std::chrono::duration_cast<std::chrono::hours>(*idle).count();
    out.cohorts[hour] += size;
    out.shared[hour] += scan.shared_bytes() - shared;
  }

  void shard(const Fd& dir, std::size_t number, ShardMemo& memo) {
    const std::string name = shard_name(number);
    auto fd = open_folder(dir.get(), name);
    const auto self = fd ? stat_at(fd->get(), "") : IoResult<FileStat>(tl::unexpected(fd.error()));
    if (!self) {
      if (self.error() != std::errc::no_such_file_or_directory) {
        scan.add_problem(name, self.error().message());
      }
      memo = {};
      return;
    }
    scan.add_file(*self, out.other);
    if (depth == Depth::Sizes && memo.settled && memo.inode == self->inode &&
        memo.modified == self->modified && memo.changed == self->changed) {
      out.entries += memo.size;
      return;
    }
    memo = {.inode = self->inode, .modified = self->modified, .changed = self->changed, .size = {}};
    memo.settled = std::max(self->modified, self->changed) + kRacyNs < scan.wall_ns();
    // A folder entry is counted after the loop: it needs the buffer that names are read into.
    std::vector<std::pair<std::string, FileStat>> executables;
    const std::error_code error = for_each_entry(fd->get(), scan.buffer(), [&](const Entry& found) {
      const auto stat = stat_at(fd->get(), found.name.data());
      if (!stat) {
        memo.settled = false;
        return;
      }
      if (stat->modified + kGrowingNs > scan.wall_ns() && stat->modified <= scan.wall_ns()) {
        memo.settled = false;
      }
      if (stat->type == EntryType::Folder) {
        executables.emplace_back(found.name, *stat);
      } else if (build_entry(name, found.name) != BuildEntry::None) {
        if (stat->links > 1) memo.settled = false;
        entry(*fd, found.name.data(), *stat, memo.size);
      } else {
        scan.add_file(*stat, out.other);
        memo.settled = false;
      }
    });
    for (const auto& [executable, stat] : executables) {
      if (build_entry(name, executable) == BuildEntry::Data) {
        entry(*fd, executable.c_str(), stat, memo.size);
      } else {
        out.other += folder(*fd, executable);
        memo.settled = false;
      }
    }
    if (error) {
      scan.add_problem(name, error.message());
      memo.settled = false;
    }
    out.entries += memo.size;
  }

  void top(const Fd& dir) {
    if (const auto self = stat_at(dir.get(), "")) scan.add_file(*self, out.other);
    std::vector<std::string> folders;
    const std::error_code error = for_each_entry(dir.get(), scan.buffer(), [&](const Entry& found) {
      const auto stat = stat_at(dir.get(), found.name.data());
      if (!stat) return;
      if (stat->type != EntryType::Folder) {
        scan.add_file(*stat, out.other);
        return;
      }
      const bool hex = found.name.size() == 2 &&
                       found.name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
      if (!hex) folders.emplace_back(found.name);
    });
    if (error) scan.add_problem(".", error.message());
    for (const std::string& name : folders) out.other += folder(dir, name);
  }
};

}  // namespace

std::string shard_name(std::size_t shard) { return fmt::format("{:02x}", shard); }

BuildEntry build_entry(std::string_view shard, std::string_view name) {
  if (name.size() != kNameSize || !name.starts_with(shard)) return BuildEntry::None;
  if (name.substr(0, 64).find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return BuildEntry::None;
  }
  if (name.ends_with("-a")) return BuildEntry::Action;
  return name.ends_with("-d") ? BuildEntry::Data : BuildEntry::None;
}

BuildCacheScan scan_build_cache(const Fd& dir, TreeScan& scan, BuildMemo& memo, Depth depth,
                                const IdleOf& idle_of, bool repair) {
  Scanner scanner{scan, depth, idle_of, repair, {}};
  scanner.top(dir);
  for (std::size_t i = 0; i < memo.shards.size(); ++i) scanner.shard(dir, i, memo.shards[i]);
  return scanner.out;
}

}  // namespace gobuildenv::agent::collector
