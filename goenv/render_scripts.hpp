#pragma once

#include <string>
#include <string_view>

#include "goenv/render_env.hpp"
#include "goenv/spec.hpp"

/// spec → the scripts of a revision: the templates of goenv/scripts/ with the declared settings
/// written into them, so that none of them has to read a file or start a program to know them.
namespace gobuildenv::goenv {

std::string activation_script(const Spec& spec, std::string_view toolchain_version,
                              const DeclaredEnv& env);
std::string deactivation_script(const Spec& spec, const DeclaredEnv& env);
std::string launcher_script(const Spec& spec, std::string_view toolchain_version,
                            const DeclaredEnv& env);
std::string preflight_script(const Spec& spec);

/// `text` as one word of POSIX sh.
std::string shell_quote(std::string_view text);

}  // namespace gobuildenv::goenv
