#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <tl/expected.hpp>
#include <vector>

/// The h1 sum of a tree of files (golang.org/x/mod/sumdb/dirhash, Hash1): SHA-256 over one line a
/// file, in order of name, of the file's own SHA-256 in hex, two blanks and the name.
namespace gobuildenv::agent {

using Sha256 = std::array<std::uint8_t, 32>;

/// SHA-256 of bytes that come in parts.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;
  void add(const void* data, std::size_t size);
  /// The sum; the stream is then ready for the next file.
  Sha256 finish();

 private:
  void* ctx_;  ///< EVP_MD_CTX, kept out of this header
};

/// A file as the sum sees it.
struct FileSum {
  std::string name;  ///< with the module's prefix, slashes, no newline
  Sha256 sum{};
};

/// "h1:…" over `files`, in any order.
[[nodiscard]] std::string h1_of(std::vector<FileSum> files);

/// "h1:…" of the regular files below `folder`, each named `prefix` and its path below `folder`.
/// Files for which `include` gives false are left out; empty: none is. Anything but folders and
/// regular files is an error (EINVAL), as is a name with a newline.
[[nodiscard]] tl::expected<std::string, std::error_code> h1_of_folder(
    const std::string& folder, std::string_view prefix,
    const std::function<bool(std::string_view path)>& include = {});

}  // namespace gobuildenv::agent
