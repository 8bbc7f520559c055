#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/collector/fd.hpp"

/// Counts what a tree takes on disk, and counts it again at a fraction of the price.
///
/// A folder's modification time changes when a name in it comes or goes. So where inode, mtime and
/// ctime of a folder are those of the last scan, the files in it are taken as they were, and only
/// its subfolders are looked at: one system call for a folder instead of one for a file. Not seen
/// that way: a file that grows in place while no name in its folder changes. The go command writes
/// no such file in a module or a toolchain; a scan without a memo sees it, and how full the disk is
/// comes from the file system, never from these counts.
namespace gobuildenv::agent::collector {

/// What deleting a tree gives back.
struct Totals {
  std::uint64_t bytes = 0;   ///< allocated blocks, folders included; as `du -s` counts
  std::uint64_t inodes = 0;  ///< an inode with several links is one
  Totals& operator+=(const Totals& o) {
    bytes += o.bytes;
    inodes += o.inodes;
    return *this;
  }
  friend bool operator==(const Totals&, const Totals&) = default;
};

/// What a scan leaves for the next of the same tree. Opaque; about 60 bytes a folder.
using TreeMemo = std::string;

/// What went wrong in a scan; the scan goes on without the place.
struct ScanProblems {
  std::uint64_t count = 0;
  std::string first;  ///< path below the scanned folder, and why
  void add(const std::string& path, const std::string& why);
};

/// One scan of one or more trees of a file system. Hard links are counted once in all of them.
class TreeScan {
 public:
  /// `wall_ns`: now, by the clock that stamps files; a folder changed in the last second is never
  /// trusted to be unchanged, since a second change might get the same stamp.
  explicit TreeScan(std::int64_t wall_ns) : wall_ns_(wall_ns) {}

  /// Counts the folder `dir` and all below it. `memo`: of the last scan of this tree, or empty; it
  /// is replaced.
  Totals count(const Fd& dir, TreeMemo& memo);

  /// Counts one file, or a folder without what is in it, by its stat. False: it was counted before
  /// under another name.
  bool add_file(const FileStat& stat, Totals& totals);

  /// Bytes of all files so far that were not counted because they had been under another name.
  [[nodiscard]] std::uint64_t shared_bytes() const { return shared_bytes_; }

  void add_problem(const std::string& path, const std::string& why) { problems_.add(path, why); }
  [[nodiscard]] const ScanProblems& problems() const { return problems_; }
  /// Folders that had to be read in this scan, and those whose files were taken from a memo.
  [[nodiscard]] std::uint64_t folders_read() const { return folders_read_; }
  [[nodiscard]] std::uint64_t folders_reused() const { return folders_reused_; }
  std::vector<char>& buffer() { return buffer_; }
  [[nodiscard]] std::int64_t wall_ns() const { return wall_ns_; }

 private:
  struct Walk;
  friend struct Walk;
  /// And remembers it.
  bool counted_before(std::uint64_t inode);

  std::int64_t wall_ns_;
  /// Inodes with several links, already counted: a bit each, by the run of numbers they lie in.
  std::unordered_map<std::uint64_t, std::uint64_t> linked_;
  std::uint64_t shared_bytes_ = 0;
  std::vector<char> buffer_;
  ScanProblems problems_;
  std::uint64_t folders_read_ = 0;
  std::uint64_t folders_reused_ = 0;
};

}  // namespace gobuildenv::agent::collector
