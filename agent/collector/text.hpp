#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/collector/node_time.hpp"

/// Values as people read them.
namespace gobuildenv::agent::collector {

/// "3d4h", "2h5m", "40s": the two largest units.
[[nodiscard]] std::string duration_text(seconds value);
/// "1.5 GiB", "12 KiB".
[[nodiscard]] std::string size_text(std::uint64_t bytes);
/// Names made by others, safe for a terminal: control characters, quotes and bytes that are no
/// UTF-8 as \xNN.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace gobuildenv::agent::collector
