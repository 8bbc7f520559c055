#include "agent/collector/tree_scan.hpp"

#include <fcntl.h>

#include <cstring>
#include <string_view>
#include <unordered_map>

namespace gobuildenv::agent::collector {

namespace {

/// Ancestors kept open; those above are opened again by ".." and recognised by their inode.
constexpr std::size_t kOpenLevels = 32;
/// A stamp as young as this may be given to one more change (kernel time moves in ticks).
constexpr std::int64_t kRacyNs = 1'000'000'000;
/// A file written this recently may still be growing.
constexpr std::int64_t kGrowingNs = 10'000'000'000;
/// Inodes with several links are remembered in runs of 64, as file systems number files that are
/// made together; with so many runs, each link in a further one counts. A cache's millions of files
/// fit, and a hostile tree, which has all its inodes far apart, cannot make us hold 30 MB.
constexpr std::size_t kMaxLinkedRuns = 500'000;
constexpr std::uint64_t kRun = 64;

/// One folder in a memo: this, its name, then its subfolders' records.
struct Record {
  std::uint64_t inode = 0;
  std::int64_t modified = 0;
  std::int64_t changed = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t subtree = 0;  ///< bytes of the whole record, subfolders included
  std::uint32_t files = 0;
  std::uint32_t folders = 0;
  std::uint16_t name_size = 0;
  bool settled = false;  ///< may be taken as it is when the stamps are the same
};
constexpr std::size_t kRecordSize = 8 * 5 + 4 * 2 + 2 + 1;

void put(std::string& out, std::size_t at, const Record& record) {
  char raw[kRecordSize];
  char* p = raw;
  const auto add = [&p](const auto& value) {
    std::memcpy(p, &value, sizeof value);
    p += sizeof value;
  };
  add(record.inode);
  add(record.modified);
  add(record.changed);
  add(record.file_bytes);
  add(record.subtree);
  add(record.files);
  add(record.folders);
  add(record.name_size);
  add(record.settled);
  out.replace(at, kRecordSize, raw, kRecordSize);
}

Record get(std::string_view memo, std::size_t at) {
  Record out;
  const char* p = memo.data() + at;
  const auto take = [&p](auto& value) {
    std::memcpy(&value, p, sizeof value);
    p += sizeof value;
  };
  take(out.inode);
  take(out.modified);
  take(out.changed);
  take(out.file_bytes);
  take(out.subtree);
  take(out.files);
  take(out.folders);
  take(out.name_size);
  take(out.settled);
  return out;
}

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

/// A subfolder still to be visited, and where the last scan described it.
struct Pending {
  std::string name;
  std::size_t old = kNone;
};

struct Level {
  Fd fd;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::size_t out = 0;  ///< where its record begins in the new memo
  Record record;
  std::vector<Pending> pending;  ///< from the back
};

/// Whether a folder has gone, or is now something else, since its name was read. Pods and the
/// trash's emptier change trees at any time: that is no problem of the disk.
bool has_changed(const std::error_code& error) {
  return error == std::errc::no_such_file_or_directory ||
         error == std::errc::too_many_symbolic_link_levels || error == std::errc::not_a_directory;
}

}  // namespace

void ScanProblems::add(const std::string& path, const std::string& why) {
  if (count++ == 0) first = path + ": " + why;
}

bool TreeScan::counted_before(std::uint64_t inode) {
  const std::uint64_t bit = std::uint64_t{1} << (inode % kRun);
  const auto run = linked_.find(inode / kRun);
  if (run == linked_.end()) {
    if (linked_.size() < kMaxLinkedRuns) linked_.emplace(inode / kRun, bit);
    return false;
  }
  const bool before = (run->second & bit) != 0;
  run->second |= bit;
  return before;
}

bool TreeScan::add_file(const FileStat& stat, Totals& totals) {
  const bool linked = stat.links > 1 && stat.type != EntryType::Folder;
  if (linked && counted_before(stat.inode)) {
    shared_bytes_ += stat.bytes;
    return false;
  }
  totals.bytes += stat.bytes;
  totals.inodes += 1;
  return true;
}

struct TreeScan::Walk {
  TreeScan& scan;
  const TreeMemo& before;
  TreeMemo after;
  Totals totals;
  std::vector<Level> levels;

  std::string path() const {
    std::string out;
    for (const Level& level : levels) {
      const std::string_view name(after.data() + level.out + kRecordSize, level.record.name_size);
      if (!name.empty()) out.append(out.empty() ? 0 : 1, '/').append(name);
      if (out.size() > 400) return out + "/…";
    }
    return out;
  }

  /// Where in `before` each subfolder of the record at `old` is described.
  template <class Visit>
  void old_children(std::size_t old, Visit&& visit) const {
    const Record parent = get(before, old);
    std::size_t at = old + kRecordSize + parent.name_size;
    for (std::uint32_t i = 0; i < parent.folders; ++i) {
      const Record child = get(before, at);
      visit(std::string_view(before).substr(at + kRecordSize, child.name_size), at);
      at += child.subtree;
    }
  }

  [[nodiscard]] bool unchanged(const FileStat& stat, std::size_t old) const {
    if (old == kNone) return false;
    const Record was = get(before, old);
    return was.settled && was.inode == stat.inode && was.modified == stat.modified &&
           was.changed == stat.changed;
  }

  std::size_t append(const Record& record, std::string_view name) {
    const std::size_t at = after.size();
    after.append(kRecordSize, '\0');
    after.append(name);
    put(after, at, record);
    return at;
  }

  void count_folder_itself(const FileStat& stat) {
    totals.bytes += stat.bytes;
    totals.inodes += 1;
  }

  /// Counts the files of the innermost level and lists its subfolders.
  void read(Level& level, const FileStat& self, std::size_t old) {
    scan.folders_read_ += 1;
    std::unordered_map<std::string_view, std::size_t> known;
    if (old != kNone) {
      old_children(old, [&](std::string_view name, std::size_t at) { known.emplace(name, at); });
    }
    const auto pend = [&](std::string_view name) {
      const auto it = known.find(name);
      level.pending.push_back({std::string(name), it == known.end() ? kNone : it->second});
    };
    const std::int64_t stamp = std::max(self.modified, self.changed);
    bool settled = stamp + kRacyNs < scan.wall_ns_;
    Totals files;
    const std::error_code error =
        for_each_entry(level.fd.get(), scan.buffer_, [&](const Entry& entry) {
          if (entry.type == EntryType::Folder) return pend(entry.name);
          const auto stat = stat_at(level.fd.get(), entry.name.data());
          if (!stat) {
            settled = false;  // gone meanwhile
            return;
          }
          if (stat->type == EntryType::Folder) return pend(entry.name);
          if (stat->links > 1 || stat->modified + kGrowingNs > scan.wall_ns_) settled = false;
          level.record.files += 1;
          scan.add_file(*stat, files);
        });
    if (error) {
      settled = false;
      if (!has_changed(error)) scan.problems_.add(path(), error.message());
    }
    level.record.file_bytes = files.bytes;
    level.record.settled = settled;
    totals += files;
  }

  /// Takes the files of a folder as they were, and its subfolders' names.
  void reuse(Level& level, std::size_t old) {
    scan.folders_reused_ += 1;
    const Record was = get(before, old);
    level.record.files = was.files;
    level.record.file_bytes = was.file_bytes;
    level.record.settled = true;
    totals += Totals{was.file_bytes, was.files};
    old_children(old, [&](std::string_view name, std::size_t at) {
      level.pending.push_back({std::string(name), at});
    });
  }

  void enter(Fd fd, const FileStat& stat, std::string_view name, std::size_t old) {
    count_folder_itself(stat);
    Level level;
    level.fd = std::move(fd);
    level.device = stat.device;
    level.inode = stat.inode;
    level.record.inode = stat.inode;
    level.record.modified = stat.modified;
    level.record.changed = stat.changed;
    level.record.name_size = static_cast<std::uint16_t>(name.size());
    level.out = append(level.record, name);
    levels.push_back(std::move(level));
    if (unchanged(stat, old)) {
      reuse(levels.back(), old);
    } else {
      read(levels.back(), stat, old);
    }
    if (levels.size() > kOpenLevels) levels[levels.size() - 1 - kOpenLevels].fd.reset();
  }

  /// Ends the innermost level. Its parent is opened again where it had been closed; what is now at
  /// ".." is only used when it is the very folder we came from.
  void leave() {
    Level done = std::move(levels.back());
    levels.pop_back();
    done.record.subtree = after.size() - done.out;
    put(after, done.out, done.record);
    if (levels.empty()) return;
    Level& parent = levels.back();
    parent.record.folders += 1;
    if (parent.fd) return;
    if (!done.fd) return give_up(parent);
    const int fd = ::openat(done.fd.get(), "..", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    Fd up(fd);
    const auto stat = up ? stat_at(up.get(), "") : IoResult<FileStat>(tl::unexpected(last_error()));
    if (!stat || stat->inode != parent.inode || stat->device != parent.device) {
      return give_up(parent);
    }
    parent.fd = std::move(up);
  }

  /// It was moved while it was read: what is left of it is not counted this time.
  static void give_up(Level& level) {
    level.pending.clear();
    level.record.settled = false;
  }

  void visit(const Pending& next) {
    Level& level = levels.back();
    const int dir = level.fd.get();
    // A folder without subfolders that has not changed need not even be opened.
    if (next.old != kNone && get(before, next.old).folders == 0) {
      const auto stat = stat_at(dir, next.name.c_str());
      if (stat && stat->type == EntryType::Folder && stat->device == level.device &&
          unchanged(*stat, next.old)) {
        const Record was = get(before, next.old);
        count_folder_itself(*stat);
        totals += Totals{was.file_bytes, was.files};
        after.append(before, next.old, was.subtree);
        level.record.folders += 1;
        scan.folders_reused_ += 1;
        return;
      }
    }
    auto fd = open_folder(dir, next.name);
    const auto stat = fd ? stat_at(fd->get(), "") : IoResult<FileStat>(tl::unexpected(fd.error()));
    if (!stat) {
      level.record.settled = false;
      if (!has_changed(stat.error())) {
        scan.problems_.add(path() + "/" + next.name, stat.error().message());
      }
      return;
    }
    enter(std::move(*fd), *stat, next.name, next.old);
  }

  void run(Fd root, const FileStat& stat) {
    enter(std::move(root), stat, "", before.empty() ? kNone : 0);
    while (!levels.empty()) {
      Level& level = levels.back();
      if (level.pending.empty()) {
        leave();
        continue;
      }
      const Pending next = std::move(level.pending.back());
      level.pending.pop_back();
      visit(next);
    }
  }
};

Totals TreeScan::count(const Fd& dir, TreeMemo& memo) {
  auto root = open_folder(dir.get(), ".");
  const auto stat =
      root ? stat_at(root->get(), "") : IoResult<FileStat>(tl::unexpected(root.error()));
  if (!stat) {
    problems_.add(".", stat.error().message());
    memo.clear();
    return {};
  }
  Walk walk{*this, memo, {}, {}, {}};
  walk.after.reserve(memo.size());
  walk.run(std::move(*root), *stat);
  memo = std::move(walk.after);
  return walk.totals;
}

}  // namespace gobuildenv::agent::collector
