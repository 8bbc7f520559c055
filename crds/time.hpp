#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// metav1.Time, as objects have it.
namespace gobuildenv::crds {

/// "2026-11-22T10:58:50Z"; UTC, whole seconds, as metav1.Time is written.
std::string format_time(std::int64_t unix_seconds);
/// The reverse, fractions and offsets accepted; 0 for what is not RFC 3339.
std::int64_t parse_time(std::string_view text);

}  // namespace gobuildenv::crds
