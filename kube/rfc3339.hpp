#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace gobuildenv::kube {

/// Parses RFC 3339, e.g. 2026-01-02T03:04:05.678+02:00; the fraction is dropped beyond
/// microseconds. Years before 1700 and after 2200 give the first moment of 1700 and 2200.
[[nodiscard]] std::optional<std::chrono::system_clock::time_point> parse_rfc3339(
    std::string_view text);

/// Kubernetes' MicroTime: 2026-01-02T03:04:05.000000Z.
[[nodiscard]] std::string format_micro_time(std::chrono::system_clock::time_point time);

}  // namespace gobuildenv::kube
