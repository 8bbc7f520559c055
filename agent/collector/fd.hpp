#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <tl/expected.hpp>
#include <vector>

#include "agent/unique_fd.hpp"

/// Files below a folder that hostile processes may write to while we read and delete there: every
/// path is opened relative to an open folder, and the kernel refuses symlinks, ".." and mounts.
namespace gobuildenv::agent::collector {

using Fd = UniqueFd;

template <class T>
using IoResult = tl::expected<T, std::error_code>;

/// errno as an error code.
[[nodiscard]] std::error_code last_error() noexcept;

/// Opens `path`, relative to the folder `dir`, with openat2: no symlink anywhere in it, no "..",
/// nothing on another file system. `flags` as of open(2); O_CLOEXEC and O_NOCTTY are added.
[[nodiscard]] IoResult<Fd> open_beneath(int dir, const std::string& path, int flags,
                                        unsigned mode = 0);
/// A folder to read.
[[nodiscard]] IoResult<Fd> open_folder(int dir, const std::string& path);
/// A folder which two of us never work on at once, locked until it is closed. Errors besides those
/// of open_folder(): operation_would_block, somebody holds it; no_such_file_or_directory also when
/// it went away before it was ours.
[[nodiscard]] IoResult<Fd> hold_folder(int dir, const std::string& path);
/// The folder that the operator named: symlinks in its path are followed, it is trusted.
[[nodiscard]] IoResult<Fd> open_trusted_folder(const std::string& path);

enum class EntryType : std::uint8_t { Unknown, Folder, File, Other };

/// One name of a folder; `name` lives until the next call.
struct Entry {
  std::string_view name;
  EntryType type = EntryType::Unknown;
};

/// Calls `each` for every entry but "." and ".."; `each` may remove entries. Names are any bytes
/// but '/' and NUL. `buffer` is scratch space, reused between calls.
[[nodiscard]] std::error_code for_each_entry(int dir, std::vector<char>& buffer,
                                             const std::function<void(const Entry&)>& each);

/// What the collector asks of a file; times in nanoseconds since 1970.
struct FileStat {
  EntryType type = EntryType::Unknown;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t bytes = 0;  ///< allocated, not the length: what deleting gives back
  std::uint32_t links = 0;
  std::int64_t accessed = 0;
  std::int64_t modified = 0;
  std::int64_t changed = 0;
};

/// statx of `name` in the folder `dir`, never following a symlink; an empty name means `dir`.
[[nodiscard]] IoResult<FileStat> stat_at(int dir, const char* name);

/// Whether `path` below `dir` is there, symlinks not followed.
[[nodiscard]] bool exists_at(int dir, const std::string& path);

/// Up to `limit` bytes of a regular file; a longer one is EFBIG, anything else EINVAL.
[[nodiscard]] IoResult<std::string> read_at(int dir, const std::string& path, std::size_t limit);

}  // namespace gobuildenv::agent::collector
