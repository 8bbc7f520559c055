#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gobuildenv::goenv {

/// What is wrong with `name` in spec.variables, with what to do instead; empty when it may be set.
/// Allowed are the go command's own variables that no other field of the spec sets and that change
/// nothing but Go. Names of loaders and shells (LD_PRELOAD, BASH_ENV, …), of programs go would run
/// (GOCACHEPROG) and of what go computes itself are refused.
std::optional<std::string> check_variable_name(std::string_view name);

/// What is wrong with `value` for an allowed `name`: values that stop every go command ("invalid
/// GOAMD64"), run a command (GOAUTH) or cannot be written into a GOENV file. An empty value is
/// always right: go counts it as unset.
std::optional<std::string> check_variable_value(std::string_view name, std::string_view value);

}  // namespace gobuildenv::goenv
