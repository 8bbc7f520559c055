#pragma once

#include <string_view>

/// The shell scripts of goenv/scripts/, embedded at build time without their comments. A line
/// `: @name@` stands for what rendering puts there.
namespace gobuildenv::goenv::scripts {

extern const std::string_view k_activate;
extern const std::string_view k_deactivate;
extern const std::string_view k_launcher;
extern const std::string_view k_preflight;
/// Functions that compare Go versions, for the launcher and preflight.
extern const std::string_view k_versions;
/// Parts of the launcher that some environments need: the choice of a newer toolchain, and the call
/// of preflight.
extern const std::string_view k_newer;
extern const std::string_view k_first_build;

}  // namespace gobuildenv::goenv::scripts
