#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "agent/csi/mounter.hpp"
#include "agent/unique_fd.hpp"

namespace gobuildenv::agent {

/// A detached, read-only tmpfs with one file of one line, both readable by all, as
/// PrivateParts::make_note() makes them on a disk. Nothing of it is left when it is unmounted.
[[nodiscard]] tl::expected<UniqueFd, MountError> make_note_mount(const std::string& file,
                                                                 std::string_view line);

}  // namespace gobuildenv::agent
