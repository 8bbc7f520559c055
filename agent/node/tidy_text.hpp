#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace gobuildenv::agent {

/// `text` as valid UTF-8 of at most `limit` bytes: what is none becomes "?". What a proxy or the
/// kernel said may be anything; the API takes UTF-8 of a limited length.
[[nodiscard]] std::string tidy(std::string_view text, std::size_t limit);

}  // namespace gobuildenv::agent
