#pragma once

#include <optional>
#include <string>
#include <string_view>

/// Names of modules as a GOMODCACHE spells them (golang.org/x/mod/module, EscapePath): a capital is
/// '!' and its small letter. Pure.
namespace gobuildenv::agent {

/// "github.com/!burnt!sushi/toml" → "github.com/BurntSushi/toml". Nothing for what is no module
/// path go could have fetched: an element that begins or ends with a dot, a first element without
/// one, other characters than letters, digits and "-._~", and the go command's own toolchains.
[[nodiscard]] std::optional<std::string> unescape_module_path(std::string_view escaped);

/// "v1.2.3-!r!c1" → "v1.2.3-RC1". Nothing for what is no canonical version.
[[nodiscard]] std::optional<std::string> unescape_version(std::string_view escaped);

/// Whether `element` can be a folder on the way to a module: cheap, for a walk.
[[nodiscard]] bool is_path_element(std::string_view element);

}  // namespace gobuildenv::agent
