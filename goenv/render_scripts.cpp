#include "goenv/render_scripts.hpp"

#include <fmt/format.h>

#include <array>
#include <initializer_list>
#include <set>
#include <utility>

#include "goenv/enum_names.hpp"
#include "goenv/names.hpp"
#include "goenv/scripts.hpp"

namespace gobuildenv::goenv {
namespace {

using Fill = std::pair<std::string_view, std::string>;

/// The text of a script's part, without its `#!` line, if this environment needs it.
std::string part(bool needed, std::string_view script) {
  return needed ? std::string(script.substr(script.find('\n') + 1)) : std::string();
}

/// `script` with each line `: @name@`, however indented, replaced by what `fills` has for it.
std::string fill(std::string_view script, std::initializer_list<Fill> fills) {
  std::string out;
  while (!script.empty()) {
    const std::size_t end = script.find('\n');
    std::string_view line = script.substr(0, end);
    script.remove_prefix(end == std::string_view::npos ? script.size() : end + 1);
    const std::size_t start = line.find(": @");
    if (start != std::string_view::npos && line.find_first_not_of(' ') == start) {
      const std::string_view name = line.substr(start + 3, line.size() - start - 4);
      for (const auto& [key, text] : fills) {
        if (key == name) out += text;
      }
      continue;
    }
    out += line;
    out += '\n';
  }
  return out;
}

std::string assignments(
    std::string_view prefix,
    std::initializer_list<std::pair<std::string_view, std::string_view>> settings) {
  std::string out;
  for (const auto& [name, value] : settings) {
    fmt::format_to(std::back_inserter(out), "{}{}={}\n", prefix, name, shell_quote(value));
  }
  return out;
}

std::string calls(std::string_view function, const std::vector<EnvVar>& vars) {
  std::string out;
  for (const EnvVar& var : vars) {
    fmt::format_to(std::back_inserter(out), "{} {} {}\n", function, var.name,
                   shell_quote(var.value));
  }
  return out;
}

}  // namespace

std::string shell_quote(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  out += '\'';
  return out;
}

std::string activation_script(const Spec& spec, std::string_view toolchain_version,
                              const DeclaredEnv& env) {
  const bool compiler = spec.cgo.policy != CgoPolicy::Disabled;
  const bool download = spec.toolchain.delivery == Delivery::Download;
  std::string settings =
      assignments("__gbe_", {{"enforcement", enum_name(spec.injection.enforcement)},
                             {"goenv", fmt::format("{}/go.env", kFilesPath)}});
  if (compiler) {
    settings += assignments("__gbe_", {{"cgo", enum_name(spec.cgo.policy)},
                                       {"delivery", enum_name(spec.toolchain.delivery)}});
  } else if (!download && !env.shared.empty()) {
    settings += assignments("__gbe_", {{"delivery", enum_name(spec.toolchain.delivery)}});
  }
  if (!download && (compiler || !env.shared.empty())) {
    // A node without the agent: there is no launcher either.
    settings += fmt::format("[ -d {} ] || __gbe_delivery=Download\n", kToolchainPath);
  }
  if (download) settings += assignments("__gbe_", {{"version", toolchain_version}});
  std::string declared = calls("__gbe_set", env.go);
  if (download) {
    declared += calls("__gbe_set", env.shared);
  } else if (!env.shared.empty()) {
    declared += "if [ \"$__gbe_delivery\" = Volume ]; then\n";
    for (const EnvVar& var : env.shared) declared += fmt::format("__gbe_saw {}\n", var.name);
    declared += "else\n" + calls("__gbe_set", env.shared) + "fi\n";
  }
  return fill(scripts::k_activate, {{"settings", settings},
                                    {"declared", declared},
                                    {"compiler", part(compiler, scripts::k_activate_compiler)},
                                    {"old_go", part(download, scripts::k_activate_old_go)}});
}

std::string deactivation_script(const Spec& spec, const DeclaredEnv& env) {
  // What the activation hook may change beside the declared variables.
  std::set<std::string_view> names{"GOOS", "GOARCH"};
  if (spec.cgo.policy != CgoPolicy::Disabled) names.insert({"CC", "CXX"});
  for (const EnvVar& var : env.go) names.insert(var.name);
  for (const EnvVar& var : env.shared) names.insert(var.name);
  std::string lines;
  for (const std::string_view name : names) lines += fmt::format("__gbe_back {}\n", name);
  return fill(scripts::k_deactivate, {{"names", lines}});
}

std::string launcher_script(const Spec& spec, std::string_view toolchain_version,
                            const DeclaredEnv& env) {
  const bool newer = spec.toolchain.switching == Switching::AllowNewer;
  const bool preflight = spec.injection.preflight != Preflight::Off;
  const bool compiler = spec.cgo.policy != CgoPolicy::Disabled;
  std::string settings =
      assignments("gbe_", {{"version", toolchain_version},
                           {"toolchain", kToolchainPath},
                           {"enforcement", enum_name(spec.injection.enforcement)}});
  if (compiler) {
    settings += assignments(
        "gbe_", {{"cgo", enum_name(spec.cgo.policy)}, {"cc", spec.cgo.cc}, {"cxx", spec.cgo.cxx}});
  }
  if (preflight) {
    settings += assignments(
        "gbe_", {{"preflight", enum_name(spec.injection.preflight)}, {"files", kFilesPath}});
  }
  return fill(scripts::k_launcher,
              {{"settings", settings},
               {"shared", part(!env.shared.empty(), scripts::k_launcher_shared)},
               {"declared", calls("go_var", env.go) + calls("shared_var", env.shared)},
               {"versions",
                part(newer || preflight, scripts::k_find_up) + part(newer, scripts::k_versions)},
               {"newer", part(newer, scripts::k_launcher_newer)},
               {"compiler", part(compiler, scripts::k_launcher_compiler)},
               {"preflight", part(preflight, scripts::k_launcher_preflight)}});
}

std::string preflight_script(const Spec& spec) {
  return fill(scripts::k_preflight,
              {{"settings", assignments("gbe_", {{"cgo", enum_name(spec.cgo.policy)}})},
               {"versions", part(true, scripts::k_find_up) + part(true, scripts::k_versions)}});
}

}  // namespace gobuildenv::goenv
