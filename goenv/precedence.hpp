#pragma once

#include <map>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

/// Where a setting of the go command comes from (cmd/go/internal/cfg): a non-empty variable of the
/// process beats the user's file ($GOENV), which beats $GOROOT/go.env, which beats the default.
namespace gobuildenv::goenv {

using GoSettings = std::map<std::string, std::string, std::less<>>;

enum class SettingSource { OsEnvironment, GoEnvFile, GorootGoEnv, Default };

/// "os", "GOENV file", "$GOROOT/go.env", "default".
std::string_view source_name(SettingSource source);

/// The four layers. `user_file` is the parsed $GOENV file, empty when there is none or GOENV=off
/// (which leaves $GOROOT/go.env in force); `goroot_file` of an older go than 1.21 is empty.
struct SettingLayers {
  GoSettings os;
  GoSettings user_file;
  GoSettings goroot_file;
  GoSettings defaults;
};

struct EffectiveSetting {
  std::string value;
  SettingSource source = SettingSource::Default;
};

/// The value go uses for `name`. An empty OS variable counts as unset; an empty line in the user's
/// file hides that of $GOROOT/go.env, and go's default applies. GODEBUG and GOENV are read from the
/// OS alone.
EffectiveSetting effective(const SettingLayers& layers, std::string_view name);

/// Reads a GOENV file: "KEY=VAL" lines without indentation or quotes, a key starting with A–Z;
/// everything else is passed over. The last line of a key counts.
GoSettings parse_go_env(std::string_view text);

/// Reads $GOROOT/go.env, in which the first line of a key counts.
GoSettings parse_goroot_go_env(std::string_view text);

struct GoSetting {
  std::string name;
  std::string value;
};

/// Writes a GOENV file with the settings in the given order. Error: the name whose value (or which
/// itself) the format cannot hold: line breaks, NUL, "=" in the name.
tl::expected<std::string, std::string> format_go_env(const std::vector<GoSetting>& settings);

}  // namespace gobuildenv::goenv
