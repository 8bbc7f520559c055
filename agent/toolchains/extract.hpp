#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <tl/expected.hpp>

#include "agent/toolchains/toolchain_id.hpp"
#include "agent/toolchains/zip_directory.hpp"

/// Writes a toolchain's zip out as the GOROOT that the go command makes of it, and computes its h1
/// sum from the same bytes: each is inflated, hashed and written once, by several threads.
namespace gobuildenv::agent {

struct ExtractOptions {
  ZipLimits limits;
  unsigned threads = 0;  ///< 0: one for each processor, at most 4
  /// Asked before each entry; true ends the extraction with Kind::Stopped. May be empty.
  std::function<bool()> stopped;
};

struct Extracted {
  std::string h1;
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;  ///< of the files' contents
};

struct ExtractError {
  enum class Kind {
    Archive,  ///< the archive is damaged or asks for what it may not
    Disk,     ///< `code` says why
    Stopped,
  };
  Kind kind = Kind::Archive;
  std::string message;
  int code = 0;  ///< errno, for Disk
};

/// Extracts the archive at `archive` for `id` to the new folder `goroot`. Every entry's name begins
/// with "golang.org/toolchain@<version>/", which is left out. Files become 0444, commands (bin/,
/// pkg/tool/, lib/…/go_*_*_exec) 0555, folders 0555; each "_go.mod" is also there as "go.mod",
/// since a module's zip may not hold nested modules. After an error `goroot` is to be thrown away.
/// Nothing is synced to disk.
[[nodiscard]] tl::expected<Extracted, ExtractError> extract_toolchain(
    const std::string& archive, const ToolchainId& id, const std::string& goroot,
    const ExtractOptions& options = {});

/// "golang.org/toolchain@v0.0.1-go1.22.3.linux-amd64/"
[[nodiscard]] std::string archive_prefix(const ToolchainId& id);

}  // namespace gobuildenv::agent
