#pragma once

#include <string>
#include <system_error>

namespace gobuildenv::agent {

/// Removes `path` and everything below, read-only folders too; following no symlink and staying on
/// one file system. What is absent is no error. For trees only the agent writes to: a pod's are the
/// collector's.
[[nodiscard]] std::error_code remove_tree(const std::string& path);

}  // namespace gobuildenv::agent
