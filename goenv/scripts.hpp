#pragma once

#include <string_view>

/// The shell scripts of goenv/scripts/, embedded at build time without comments and indentation. A
/// line
/// `: @name@` stands for what rendering puts there.
namespace gobuildenv::goenv::scripts {

extern const std::string_view k_activate;
extern const std::string_view k_deactivate;
extern const std::string_view k_launcher;
extern const std::string_view k_preflight;

// Parts that only some environments need, put into the above.
extern const std::string_view k_activate_compiler;
extern const std::string_view k_activate_old_go;
extern const std::string_view k_launcher_compiler;
extern const std::string_view k_launcher_newer;
extern const std::string_view k_launcher_preflight;
extern const std::string_view k_launcher_shared;
extern const std::string_view k_find_up;
extern const std::string_view k_versions;

}  // namespace gobuildenv::goenv::scripts
