#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tests/agent/temp_folder.hpp"

namespace gobuildenv::agent::testing {

/// A small ext4 of its own in a file, mounted in a mount namespace of the test's own, which can be
/// full, read-only, broken or without power. The file lies in memory where possible.
class LoopDisk {
 public:
  struct Shape {
    std::uint64_t mib = 24;
    std::uint64_t inodes = 2048;
  };

  /// Null where this machine cannot do it; `why` then says what is missing.
  static std::unique_ptr<LoopDisk> make(const Shape& shape, std::string& why);
  ~LoopDisk();
  LoopDisk(const LoopDisk&) = delete;
  LoopDisk& operator=(const LoopDisk&) = delete;

  [[nodiscard]] const std::string& path() const { return mount_; }
  [[nodiscard]] std::string path(const std::string& name) const { return mount_ + "/" + name; }

  /// Takes all space but `leave` bytes, on top of what was taken before.
  void fill(std::uint64_t leave);
  /// Takes all inodes but `leave`.
  void fill_inodes(std::uint64_t leave);
  /// Gives back what fill() and fill_inodes() took.
  void make_room();

  /// As an administrator, or the kernel after an error, remounts it.
  [[nodiscard]] bool set_read_only(bool read_only);

  /// From here on every write and every read of a file fails with EIO, and what had not reached the
  /// disk is lost.
  [[nodiscard]] bool cut_power();
  /// Unmounts and mounts again; false while something on it is open.
  [[nodiscard]] bool reboot();

  /// Reads of what lies at the place of `path` (a file's or a folder's first block) and behind it
  /// fail with EIO, as from a disk with bad sectors. Nothing read before stays in memory; false
  /// while something on it is open.
  [[nodiscard]] bool break_sectors_from(const std::string& path);
  void heal();  ///< the sectors can be read again

  /// The device takes no more than `bytes` of new blocks: later writes fail when they are written
  /// back, as on a thinly provisioned disk that has run out.
  [[nodiscard]] bool limit_device(std::uint64_t bytes);

 private:
  LoopDisk();
  [[nodiscard]] bool mount_it();

  TempFolder folder_;
  std::string backing_ = folder_.path("backing");
  std::string image_ = backing_ + "/disk";
  std::string mount_ = folder_.path("mnt");
  std::uint64_t size_ = 0;
  std::string lost_;
  unsigned fills_ = 0;  ///< files made to fill it, so far
};

}  // namespace gobuildenv::agent::testing
