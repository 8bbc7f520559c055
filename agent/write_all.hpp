#pragma once

#include <string_view>
#include <system_error>

namespace gobuildenv::agent {

/// Writes all of `content` at the descriptor's position, through short writes and interruptions.
/// After an error some of it may be there.
[[nodiscard]] std::error_code write_all(int fd, std::string_view content);

}  // namespace gobuildenv::agent
