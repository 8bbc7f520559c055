#pragma once

#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "agent/csi/private_parts.hpp"
#include "agent/csi/volume_registry.hpp"

namespace gobuildenv::agent {

/// What was mended, a sentence each, for the log.
struct RecoveryReport {
  std::vector<std::string> notes;
};

/// Brings records, private parts and mounts together (plan_recovery()) before the first call is
/// served. `root` and `pods_dir` are resolved paths. What cannot be written, on a read-only disk,
/// is kept in memory. Error: mounts or pods cannot be read; then no volume must be served, since
/// use counts would be wrong.
[[nodiscard]] tl::expected<RecoveryReport, std::string> recover_volumes(
    VolumeRegistry& registry, PrivateParts& files, const std::string& root,
    const std::string& pods_dir);

}  // namespace gobuildenv::agent
