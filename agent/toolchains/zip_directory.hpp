#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

/// The list of contents of a zip file (PKWARE APPNOTE 6.3, without ZIP64, encryption and spanning,
/// which a module's zip never has). As Go's archive/zip it believes the central directory alone.
namespace gobuildenv::agent {

/// What an archive may ask of us. The go command's own limit is 500 MB for zip and content.
struct ZipLimits {
  std::uint64_t archive = std::uint64_t{500} << 20U;
  std::uint64_t entries = 65'000;
  std::uint64_t file = std::uint64_t{200} << 20U;
  std::uint64_t total = std::uint64_t{1000} << 20U;
  std::uint64_t ratio = 200;  ///< of a file's size to its compressed size, for files above 1 MiB
};

struct ZipEntry {
  std::string name;
  std::uint64_t offset = 0;      ///< of its local header
  std::uint64_t compressed = 0;  ///< bytes in the archive
  std::uint64_t size = 0;        ///< bytes once inflated
  bool deflated = false;         ///< false: stored

  [[nodiscard]] bool folder() const { return name.ends_with('/'); }
};

/// Reads and checks the directory of the archive open as `fd`. Refused, with a sentence naming the
/// entry: names that are absolute, climb ("..") or are not plain ("a//b", backslashes, control
/// characters, not UTF-8), names twice (case folded) or as file and folder, links and devices,
/// entries that overlap or reach outside, and what exceeds `limits`.
[[nodiscard]] tl::expected<std::vector<ZipEntry>, std::string> read_zip_directory(
    int fd, const ZipLimits& limits = {});

/// Where the data of `entry` begins: behind its local header. Error: a sentence.
[[nodiscard]] tl::expected<std::uint64_t, std::string> zip_data_offset(int fd,
                                                                       const ZipEntry& entry);

/// Whether `name` is a plain relative path that names something below the folder it is taken in.
[[nodiscard]] bool plain_path(std::string_view name);

}  // namespace gobuildenv::agent
