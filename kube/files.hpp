#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>
#include <tl/expected.hpp>

namespace gobuildenv::kube {

/// The whole file; larger than `limit` bytes is EFBIG.
[[nodiscard]] tl::expected<std::string, std::error_code> read_small_file(
    const std::string& path, std::size_t limit = std::size_t{4} << 20U);

/// What changes when a file is replaced or rewritten; all zero when it is absent. Follows the
/// symlinks of a projected volume.
struct FileStamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t size = 0;
  std::int64_t modified_ns = 0;
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};
[[nodiscard]] FileStamp stamp_of(const std::string& path);

}  // namespace gobuildenv::kube
