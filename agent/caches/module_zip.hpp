#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <tl/expected.hpp>

#include "agent/collector/fd.hpp"
#include "agent/toolchains/h1.hpp"

namespace gobuildenv::agent {

struct ZippedModule {
  std::string h1;
  std::uint64_t bytes = 0;         ///< that the files take of a disk
  std::optional<Sha256> go_mod{};  ///< of the module's own go.mod, if it has one
};

struct ZipError {
  std::string message;   ///< what is wrong with the zip
  std::error_code disk;  ///< or what the disk said
};

/// Writes the module zip open as `zip` out below the empty folder `folder`, as the go command does
/// (golang.org/x/mod/zip, Unzip): files 0444, folders 0555, each name below "<path>@<version>/",
/// which is `prefix`. After an error `folder` is to be thrown away.
[[nodiscard]] tl::expected<ZippedModule, ZipError> extract_module(
    int zip, const std::string& prefix, const collector::Fd& folder,
    const std::function<bool()>& stopped);

}  // namespace gobuildenv::agent
