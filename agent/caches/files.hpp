#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "agent/collector/fd.hpp"
#include "agent/toolchains/h1.hpp"

/// Reading what pods wrote, and writing layers. A file of a pod is a regular one with one name, or
/// it is none; links, devices, sockets and folders in its place are EINVAL.
namespace gobuildenv::agent {

using collector::Fd;
using collector::IoResult;

/// Names in a folder that are folders (or files), sorted. The kernel says what they are; what is
/// opened is looked at again.
/// value_too_large: there are more than `limit`.
[[nodiscard]] IoResult<std::vector<std::string>> names_in(
    const Fd& folder, bool folders, std::size_t limit = std::numeric_limits<std::size_t>::max());

/// What a file of `size` bytes takes of a disk, whose blocks are whole; as the collector counts.
[[nodiscard]] constexpr std::uint64_t on_disk(std::uint64_t size) {
  constexpr std::uint64_t kBlock = 4096;
  return (size + kBlock - 1) / kBlock * kBlock;
}

struct OpenedFile {
  Fd fd;
  std::uint64_t size = 0;
  std::int64_t modified = 0;  ///< seconds since 1970
};
/// `path` below `folder`, to read. Longer than `limit`: EFBIG.
[[nodiscard]] IoResult<OpenedFile> open_plain(const Fd& folder, const std::string& path,
                                              std::uint64_t limit);

/// All of a file of a pod, at most `limit` bytes.
[[nodiscard]] IoResult<std::string> read_plain(const Fd& folder, const std::string& path,
                                               std::uint64_t limit);

/// Copies `from` to the new file `name` in `folder` and gives the sum of exactly what was written.
/// More or less than `from.size` by now: EBUSY. Only the content is taken: no owner, mode, stamp,
/// or attribute.
[[nodiscard]] IoResult<Sha256> copy_plain(const OpenedFile& from, const Fd& folder,
                                          const std::string& name, unsigned mode);

/// A new file.
[[nodiscard]] std::error_code write_new(const Fd& folder, const std::string& name,
                                        std::string_view content, unsigned mode);
/// Its descriptor, for who writes it in parts (write_all).
[[nodiscard]] IoResult<Fd> create_new(const Fd& folder, const std::string& name, unsigned mode);

/// Makes `path` below `folder`, with `mode` for each folder that is missing, and opens it.
[[nodiscard]] IoResult<Fd> make_below(const Fd& folder, const std::string& path, unsigned mode);

/// Gives `to`/`name` the file `from`/`name` as another name of it; a copy where a file can have no
/// more names.
[[nodiscard]] std::error_code link_file(const Fd& from, const Fd& to, const std::string& name);

/// The same for a whole tree of ours into the new folder `to`/`name`. Adds what the files
/// take of the disk to `bytes`. Folders get the modes they have in `from`.
[[nodiscard]] std::error_code link_tree(const Fd& from, const Fd& to, const std::string& name,
                                        std::uint64_t& bytes);

}  // namespace gobuildenv::agent
