#pragma once

#include <string>
#include <string_view>
#include <system_error>

#include "agent/step_hook.hpp"

namespace gobuildenv::agent {

/// Replaces `path` by a file with `content`, so that after a crash at any instant the old one or
/// the new one is there, whole: "<path>.new" is written and synced, renamed, and the folder synced.
/// `hook` sees "file-written" and "file-renamed". Two writers of one path must not overlap.
[[nodiscard]] std::error_code write_durably(const std::string& path, std::string_view content,
                                            const StepHook& hook = {});

/// Syncs a folder's entries to disk.
[[nodiscard]] std::error_code sync_folder(const std::string& path);

/// Makes `path` and the folders above it that are missing, mode 0755, each synced into its parent.
[[nodiscard]] std::error_code make_folders(const std::string& path);

}  // namespace gobuildenv::agent
