#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>

namespace gobuildenv::crds {

/// What a plain (unquoted) YAML scalar means to Kubernetes: null, boolean, number or string.
/// Empty for .inf and .nan, which JSON cannot hold. Integers beyond 64 bits become floats.
std::optional<nlohmann::ordered_json> resolve_plain_scalar(std::string_view text);

/// Whether a string may stand unquoted where a value is expected, under the rules above and under
/// those of strict YAML 1.1 and 1.2 parsers (dates, sexagesimal numbers).
bool is_plain_string(std::string_view text);

}  // namespace gobuildenv::crds
