#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/toolchains/store.hpp"

namespace gobuildenv::agent {

/// The content of record.json.
[[nodiscard]] std::string encode_record(const ToolchainRecord& record);

/// Reads what encode_record() writes; empty for anything else.
[[nodiscard]] std::optional<ToolchainRecord> decode_record(std::string_view text);

}  // namespace gobuildenv::agent
