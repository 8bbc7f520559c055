#include "goenv/precedence.hpp"

#include <fmt/format.h>

#include "goenv/text.hpp"

namespace gobuildenv::goenv {
namespace {

template <class Take>
void each_line(std::string_view text, Take take) {
  for (const auto line : split(text, '\n')) {
    const auto equals = line.find('=');
    if (equals == std::string_view::npos || !is_upper(line.front())) continue;
    take(line.substr(0, equals), line.substr(equals + 1));
  }
}

}  // namespace

std::string_view source_name(SettingSource source) {
  switch (source) {
    case SettingSource::OsEnvironment:
      return "os";
    case SettingSource::GoEnvFile:
      return "GOENV file";
    case SettingSource::GorootGoEnv:
      return "$GOROOT/go.env";
    case SettingSource::Default:
      break;
  }
  return "default";
}

EffectiveSetting effective(const SettingLayers& layers, std::string_view name) {
  if (const auto it = layers.os.find(name); it != layers.os.end() && !it->second.empty()) {
    return {it->second, SettingSource::OsEnvironment};
  }
  if (name != "GODEBUG" && name != "GOENV") {
    if (const auto it = layers.user_file.find(name); it != layers.user_file.end()) {
      if (!it->second.empty()) return {it->second, SettingSource::GoEnvFile};
    } else if (const auto root = layers.goroot_file.find(name);
               root != layers.goroot_file.end() && !root->second.empty()) {
      return {root->second, SettingSource::GorootGoEnv};
    }
  }
  const auto fallback = layers.defaults.find(name);
  return {fallback == layers.defaults.end() ? std::string() : fallback->second,
          SettingSource::Default};
}

GoSettings parse_go_env(std::string_view text) {
  GoSettings out;
  each_line(text, [&](std::string_view key, std::string_view value) {
    out.insert_or_assign(std::string(key), std::string(value));
  });
  return out;
}

GoSettings parse_goroot_go_env(std::string_view text) {
  GoSettings out;
  each_line(text, [&](std::string_view key, std::string_view value) {
    out.emplace(std::string(key), std::string(value));
  });
  return out;
}

tl::expected<std::string, std::string> format_go_env(const std::vector<GoSetting>& settings) {
  std::string out;
  for (const auto& [name, value] : settings) {
    const bool named = !name.empty() && is_upper(name.front()) &&
                       all_of(name, [](char c) { return is_alnum(c) || c == '_'; });
    if (!named) {
      return tl::unexpected(fmt::format("\"{}\" is no variable's name", printable(name)));
    }
    // What `go env -w` refuses, for the reasons it has.
    if (value.find_first_of(std::string_view("\v\r\n\0", 4)) != std::string::npos) {
      return tl::unexpected(fmt::format("{}: the value holds a line break or NUL", name));
    }
    out += fmt::format("{}={}\n", name, value);
  }
  return out;
}

}  // namespace gobuildenv::goenv
