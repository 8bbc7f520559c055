#pragma once

#include <compare>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

/// Go version numbers as cmd/go orders them (src/internal/gover): "1.21" is a language version,
/// older than "1.21rc2", which is older than the release "1.21.0". Below 1.21 the first release has
/// no patch number: "1.20" is itself a release.
namespace gobuildenv::goenv {

struct GoVersion {
  enum class Pre { None, Beta, Rc };

  int major = 1;
  int minor = 0;
  int patch = -1;  ///< -1: none, as in "1.21" and "1.21rc2"
  Pre pre = Pre::None;
  int pre_number = 0;

  friend constexpr auto operator<=>(const GoVersion&, const GoVersion&) = default;

  /// "1.21" and the like: names a language version, and to us its newest patch release.
  [[nodiscard]] constexpr bool is_range() const { return patch < 0 && pre == Pre::None; }
  [[nodiscard]] constexpr bool is_prerelease() const { return pre != Pre::None; }
  /// Same 1.N.
  [[nodiscard]] constexpr bool same_language(const GoVersion& o) const {
    return major == o.major && minor == o.minor;
  }
};

/// The oldest Go with generics, and the oldest we serve.
inline constexpr GoVersion kMinimumGo{1, 18, -1, GoVersion::Pre::None, 0};
/// The oldest Go that understands GOTOOLCHAIN, `toolchain` lines and patch numbers in go.mod.
inline constexpr GoVersion kFirstSwitchingGo{1, 21, -1, GoVersion::Pre::None, 0};
/// The oldest Go that takes -mod=vendor with a go.work.
inline constexpr GoVersion kFirstVendoredWorkspaceGo{1, 22, -1, GoVersion::Pre::None, 0};

/// Reads "1.22.3", "1.22", "1.21rc2", "1.20beta1". Error: a sentence saying what is wrong with
/// `text` ("go1.22" must be written without "go", …).
tl::expected<GoVersion, std::string> parse_version(std::string_view text);

/// Reads a toolchain's name: "go1.22.3", also with a suffix as in "go1.22.3-custom" and with the
/// notes `go version` prints ("go1.22.3 X:rangefunc"). Empty when it is not one.
std::optional<GoVersion> parse_toolchain_name(std::string_view text);

/// "1.22.3", "1.21rc2", "1.20" (never "1.20.0", which is not a release's name).
std::string to_string(const GoVersion& version);

/// Releases of language version `range` that a module proxy lists for the module
/// golang.org/toolchain ("v0.0.1-go1.22.3.linux-amd64", one an entry), newest first, without
/// pre-releases and other platforms. When it lists none, the only candidate is 1.N.0: lists are
/// sparse, so an answer is to be confirmed and an absence proves nothing.
std::vector<GoVersion> patch_candidates(std::span<const std::string_view> listed,
                                        const GoVersion& range, std::string_view os,
                                        std::string_view arch);

/// The version of module golang.org/toolchain that holds `version` for a platform:
/// "v0.0.1-go1.22.3.linux-amd64".
std::string toolchain_module_version(const GoVersion& version, std::string_view os,
                                     std::string_view arch);

}  // namespace gobuildenv::goenv
