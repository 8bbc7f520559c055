#include "tests/agent/faults/loop_disk.hpp"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include "agent/unique_fd.hpp"

namespace gobuildenv::agent::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kBlock = 4096;
constexpr unsigned kShutdown = _IOR('X', 125, std::uint32_t);  // EXT4_IOC_SHUTDOWN
constexpr std::uint32_t kWithoutLog = 2;                       // what is not on disk is lost

bool run(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;  // NOLINT(cert-env33-c)
}

/// Once a process: all mounts of these tests vanish with it.
bool own_mounts() {
  static const bool have = ::unshare(CLONE_NEWNS) == 0 &&
                           ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  return have;
}

/// Puts what is in memory of the file system at `path` on its device.
void sync_all(const std::string& path) {
  const UniqueFd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ::syncfs(dir.get());
}

/// Where the first block of a file or folder lies on the device; 0 where that is not known.
std::uint64_t first_block(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  alignas(fiemap) std::array<char, sizeof(fiemap) + sizeof(fiemap_extent)> buffer{};
  auto* map = reinterpret_cast<fiemap*>(buffer.data());
  map->fm_length = FIEMAP_MAX_OFFSET;
  map->fm_flags = FIEMAP_FLAG_SYNC;
  map->fm_extent_count = 1;
  if (!fd || ::ioctl(fd.get(), FS_IOC_FIEMAP, map) != 0 || map->fm_mapped_extents == 0) return 0;
  return map->fm_extents[0].fe_physical;
}

}  // namespace

LoopDisk::LoopDisk() : folder_(::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") {}

std::unique_ptr<LoopDisk> LoopDisk::make(const Shape& shape, std::string& why) {
  if (!own_mounts()) {
    why = "needs root and mount namespaces";
    return nullptr;
  }
  std::unique_ptr<LoopDisk> disk(new LoopDisk);
  disk->size_ = shape.mib << 20U;
  fs::create_directory(disk->backing_);
  fs::create_directory(disk->mount_);
  if (::mount("none", disk->backing_.c_str(), "tmpfs", 0, "size=512m") != 0) {
    why = "needs tmpfs";
    return nullptr;
  }
  write_file(disk->image_, "");
  fs::resize_file(disk->image_, disk->size_);
  if (!run("mkfs.ext4 -q -F -m 0 -b 4096 -J size=4 -E lazy_itable_init=0,lazy_journal_init=0 -N " +
           std::to_string(shape.inodes) + " " + disk->image_)) {
    why = "needs mkfs.ext4";
    return nullptr;
  }
  if (!disk->mount_it()) {
    why = "needs loop devices and ext4";
    return nullptr;
  }
  return disk;
}

LoopDisk::~LoopDisk() {
  ::umount2(mount_.c_str(), MNT_DETACH);
  ::umount2(backing_.c_str(), MNT_DETACH);
}

bool LoopDisk::mount_it() { return run("mount -o loop,errors=continue " + image_ + " " + mount_); }

void LoopDisk::fill(std::uint64_t leave) {
  fs::create_directories(path("fill"));
  sync_all(mount_);
  struct statvfs now {};
  std::uint64_t keep = 0;
  while (::statvfs(mount_.c_str(), &now) == 0) {
    const std::uint64_t free = now.f_bavail * now.f_frsize;
    if (free <= leave + keep) return;
    const std::string name = path("fill/bytes" + std::to_string(++fills_));
    const UniqueFd file(::open(name.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    if (!file) return;
    // A large allocation may need a block for its own map besides.
    const auto size = static_cast<off_t>(free - leave - keep);
    keep = ::fallocate(file.get(), 0, 0, size) == 0 ? 0 : keep + kBlock;
  }
}

void LoopDisk::fill_inodes(std::uint64_t leave) {
  fs::create_directories(path("fill"));
  struct statvfs now {};
  while (::statvfs(mount_.c_str(), &now) == 0 && now.f_favail > leave) {
    const std::string name = path("fill/inode" + std::to_string(now.f_favail));
    const UniqueFd file(::open(name.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    if (!file) return;
  }
}

void LoopDisk::make_room() {
  fs::remove_all(path("fill"));
  sync_all(mount_);
}

bool LoopDisk::set_read_only(bool read_only) {
  return ::mount(nullptr, mount_.c_str(), nullptr, MS_REMOUNT | (read_only ? +MS_RDONLY : 0),
                 nullptr) == 0;
}

bool LoopDisk::cut_power() {
  const UniqueFd dir(::open(mount_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::uint32_t how = kWithoutLog;
  return ::ioctl(dir.get(), kShutdown, &how) == 0;
}

bool LoopDisk::reboot() {
  // Not MNT_DETACH: the file must not be mounted twice.
  return ::umount(mount_.c_str()) == 0 && mount_it();
}

bool LoopDisk::break_sectors_from(const std::string& path) {
  const std::uint64_t at = first_block(path);
  if (at == 0 || !reboot()) return false;
  lost_ = read_file(image_).substr(at);
  fs::resize_file(image_, at);
  return true;
}

void LoopDisk::heal() {
  // What was written meanwhile stays.
  const std::uint64_t from = size_ - lost_.size();
  std::string now = read_file(image_).substr(from);
  now.resize(lost_.size());
  const std::string nothing(kBlock, '\0');
  const UniqueFd image(::open(image_.c_str(), O_WRONLY | O_CLOEXEC));
  for (std::size_t at = 0; at < lost_.size(); at += kBlock) {
    if (now.compare(at, kBlock, nothing) != 0) continue;
    if (::pwrite(image.get(), lost_.data() + at, kBlock, static_cast<off_t>(from + at)) < 0) return;
  }
}

bool LoopDisk::limit_device(std::uint64_t bytes) {
  sync_all(mount_);
  struct statvfs now {};
  if (::statvfs(backing_.c_str(), &now) != 0) return false;
  const std::uint64_t used = (now.f_blocks - now.f_bfree) * now.f_frsize;
  const std::string options = "size=" + std::to_string(used + bytes);
  return ::mount("none", backing_.c_str(), nullptr, MS_REMOUNT, options.c_str()) == 0;
}

}  // namespace gobuildenv::agent::testing
