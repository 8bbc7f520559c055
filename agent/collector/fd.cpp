#include "agent/collector/fd.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace gobuildenv::agent::collector {

namespace {

/// The kernel's own layout of a directory entry, as getdents64 gives it.
struct KernelEntry {
  std::uint64_t inode;
  std::int64_t offset;
  std::uint16_t length;
  std::uint8_t type;
};
constexpr std::size_t kNameOffset = offsetof(KernelEntry, type) + 1;
constexpr std::size_t kBufferSize = std::size_t{64} << 10U;

std::int64_t nanoseconds(const statx_timestamp& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + std::int64_t{time.tv_nsec};
}

EntryType type_of_mode(unsigned mode) {
  if (S_ISDIR(mode)) return EntryType::Folder;
  return S_ISREG(mode) ? EntryType::File : EntryType::Other;
}

EntryType type_of_dirent(std::uint8_t type) {
  constexpr std::uint8_t kUnknown = 0;
  constexpr std::uint8_t kFolder = 4;
  constexpr std::uint8_t kRegular = 8;
  if (type == kFolder) return EntryType::Folder;
  if (type == kRegular) return EntryType::File;
  return type == kUnknown ? EntryType::Unknown : EntryType::Other;
}

/// RESOLVE_BENEATH lets a ".." pass that stays below; none of our paths has one.
bool has_parent(std::string_view path) {
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    if (path.substr(at, end - at) == "..") return true;
    at = end + 1;
  }
  return false;
}

}  // namespace

std::error_code last_error() noexcept { return {errno, std::generic_category()}; }

IoResult<Fd> open_beneath(int dir, const std::string& path, int flags, unsigned mode) {
  if (has_parent(path)) return tl::unexpected(std::make_error_code(std::errc::invalid_argument));
  open_how how{};
  // openat2 refuses what open() would pass over: O_NOCTTY with O_PATH.
  const int more = (flags & O_PATH) != 0 ? O_CLOEXEC : O_CLOEXEC | O_NOCTTY;
  how.flags = static_cast<std::uint64_t>(static_cast<unsigned>(flags | more));
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  // EAGAIN: a rename elsewhere raced with the walk, and the kernel could not be sure.
  for (int attempt = 0; attempt < 64; ++attempt) {
    const long fd = ::syscall(SYS_openat2, dir, path.c_str(), &how, sizeof how);
    if (fd >= 0) return Fd(static_cast<int>(fd));
    if (errno != EAGAIN && errno != EINTR) return tl::unexpected(last_error());
  }
  return tl::unexpected(last_error());
}

IoResult<Fd> open_folder(int dir, const std::string& path) {
  return open_beneath(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

IoResult<Fd> hold_folder(int dir, const std::string& path) {
  auto held = open_folder(dir, path);
  if (!held) return held;
  if (::flock(held->get(), LOCK_EX | LOCK_NB) != 0) return tl::unexpected(last_error());
  const auto now = open_folder(dir, path);
  if (!now) return tl::unexpected(now.error());
  const auto ours = stat_at(held->get(), "");
  const auto there = stat_at(now->get(), "");
  if (!ours || !there) return tl::unexpected(ours ? there.error() : ours.error());
  if (ours->inode != there->inode || ours->device != there->device) {
    return tl::unexpected(std::make_error_code(std::errc::no_such_file_or_directory));
  }
  return held;
}

IoResult<Fd> open_trusted_folder(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return tl::unexpected(last_error());
  return Fd(fd);
}

std::error_code for_each_entry(int dir, std::vector<char>& buffer,
                               const std::function<void(const Entry&)>& each) {
  if (buffer.size() < kBufferSize) buffer.resize(kBufferSize);
  if (::lseek(dir, 0, SEEK_SET) != 0) return last_error();
  for (;;) {
    const long got = ::syscall(SYS_getdents64, dir, buffer.data(), buffer.size());
    if (got < 0) return last_error();
    if (got == 0) return {};
    for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
      KernelEntry head{};
      std::memcpy(&head, buffer.data() + at, kNameOffset);
      const std::string_view name(buffer.data() + at + kNameOffset);
      at += head.length;
      if (name == "." || name == "..") continue;
      each({name, type_of_dirent(head.type)});
    }
  }
}

IoResult<FileStat> stat_at(int dir, const char* name) {
  struct statx raw {};
  constexpr unsigned kMask =
      STATX_TYPE | STATX_INO | STATX_NLINK | STATX_BLOCKS | STATX_ATIME | STATX_MTIME | STATX_CTIME;
  constexpr int kFlags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC | AT_EMPTY_PATH;
  if (::statx(dir, name, kFlags, kMask, &raw) != 0) return tl::unexpected(last_error());
  FileStat out;
  out.type = type_of_mode(raw.stx_mode);
  out.device = (std::uint64_t{raw.stx_dev_major} << 32U) | raw.stx_dev_minor;
  out.inode = raw.stx_ino;
  out.bytes = raw.stx_blocks * 512;
  out.links = raw.stx_nlink;
  out.accessed = nanoseconds(raw.stx_atime);
  out.modified = nanoseconds(raw.stx_mtime);
  out.changed = nanoseconds(raw.stx_ctime);
  return out;
}

bool exists_at(int dir, const std::string& path) {
  return open_beneath(dir, path, O_PATH | O_NOFOLLOW).has_value();
}

IoResult<std::string> read_at(int dir, const std::string& path, std::size_t limit) {
  // O_NONBLOCK: a FIFO in the file's place must not make us wait for a writer.
  auto fd = open_beneath(dir, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) return tl::unexpected(fd.error());
  const auto stat = stat_at(fd->get(), "");
  if (!stat) return tl::unexpected(stat.error());
  if (stat->type != EntryType::File) {
    return tl::unexpected(std::make_error_code(std::errc::invalid_argument));
  }
  // As long as the file is, not as the limit allows: every byte of a string is written to.
  constexpr std::size_t kLeast = 4096;
  std::string out;
  std::size_t used = 0;
  while (used <= limit) {
    if (used == out.size()) out.resize(std::min(limit + 1, std::max(kLeast, 2 * used)));
    const ssize_t got = ::read(fd->get(), out.data() + used, out.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return tl::unexpected(last_error());
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
  }
  if (used > limit) return tl::unexpected(std::make_error_code(std::errc::file_too_large));
  out.resize(used);
  return out;
}

}  // namespace gobuildenv::agent::collector
