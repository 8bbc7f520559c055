#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// Kubernetes' textual scalars: metav1.Duration (Go's time.ParseDuration) and resource.Quantity.
namespace gobuildenv::crds {

/// "168h", "1h30m", "0.5h", "90s". Whole seconds, rounded down; parts below a second ("ms", "us",
/// "ns") are accepted. Empty: no such duration, negative, or beyond 292 years.
std::optional<std::chrono::seconds> parse_duration(std::string_view text);

/// "168h0m0s" in its shortest spelling: "168h", "90m", "45s", "1h0m5s" as "1h5s".
std::string format_duration(std::chrono::seconds duration);

/// "20Gi", "500M", "1.5Gi", "1e9", "1024": bytes, rounded up as Kubernetes does. Empty: no such
/// quantity, negative, or beyond 2^63-1.
std::optional<std::int64_t> parse_quantity(std::string_view text);

/// Bytes with the largest binary suffix that divides them: "20Gi", "1500M" as "1500000000".
std::string format_quantity(std::int64_t bytes);

}  // namespace gobuildenv::crds
