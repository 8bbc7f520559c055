#pragma once

#include <string>

#include "agent/unique_fd.hpp"

namespace gobuildenv::agent {

/// openat2(2) with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS, O_CLOEXEC added:
/// `path` is relative to `folder`. Negative with errno set on failure.
[[nodiscard]] UniqueFd open_beneath(int folder, const std::string& path, int flags);

/// An absolute path that the administrator chose: symlinks in it are followed. O_PATH.
[[nodiscard]] UniqueFd open_folder(const std::string& path);

/// Whether there is nothing at `path`; errno stays as it is. A read-only disk refuses to remove and
/// to rename also what is not there.
[[nodiscard]] bool is_missing(const std::string& path);

}  // namespace gobuildenv::agent
