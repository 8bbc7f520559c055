#include "goenv/version.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace gobuildenv::goenv {
namespace {

constexpr std::string_view kToolchainPrefix = "v0.0.1-go";

/// Takes a decimal number without leading zeros, at most four digits, off the front of `rest`.
std::optional<int> take_number(std::string_view& rest) {
  std::size_t digits = 0;
  while (digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9') ++digits;
  if (digits == 0 || digits > 4 || (digits > 1 && rest[0] == '0')) return std::nullopt;
  int value = 0;
  std::from_chars(rest.data(), rest.data() + digits, value);
  rest.remove_prefix(digits);
  return value;
}

bool take(std::string_view& rest, std::string_view prefix) {
  if (!rest.starts_with(prefix)) return false;
  rest.remove_prefix(prefix.size());
  return true;
}

std::optional<GoVersion> parse(std::string_view rest) {
  GoVersion v;
  const auto major = take_number(rest);
  if (!major || !take(rest, ".")) return std::nullopt;
  const auto minor = take_number(rest);
  if (!minor) return std::nullopt;
  v.major = *major;
  v.minor = *minor;
  if (rest.empty()) {
    // Before 1.21 the release that starts a series has no patch number.
    if (GoVersion{v.major, v.minor} < kFirstSwitchingGo) v.patch = 0;
    return v;
  }
  if (take(rest, "rc")) {
    v.pre = GoVersion::Pre::Rc;
  } else if (take(rest, "beta")) {
    v.pre = GoVersion::Pre::Beta;
  } else if (!take(rest, ".")) {
    return std::nullopt;
  }
  const auto last = take_number(rest);
  if (!last || !rest.empty()) return std::nullopt;
  (v.pre == GoVersion::Pre::None ? v.patch : v.pre_number) = *last;
  return v;
}

}  // namespace

tl::expected<GoVersion, std::string> parse_version(std::string_view text) {
  if (const auto v = parse(text)) return *v;
  if (text.starts_with("go")) {
    return tl::unexpected(fmt::format("write the version without \"go\": \"{}\"", text.substr(2)));
  }
  if (text.starts_with("v")) {
    return tl::unexpected(fmt::format("write the version without \"v\": \"{}\"", text.substr(1)));
  }
  return tl::unexpected(std::string(
      "is not a Go version; write a release such as \"1.22.3\", or \"1.22\" for its newest patch"));
}

std::optional<GoVersion> parse_toolchain_name(std::string_view text) {
  if (!take(text, "go")) return std::nullopt;
  return parse(text.substr(0, text.find_first_of("- \t+")));
}

std::string to_string(const GoVersion& v) {
  std::string out = fmt::format("{}.{}", v.major, v.minor);
  if (v.pre == GoVersion::Pre::Rc) return out + fmt::format("rc{}", v.pre_number);
  if (v.pre == GoVersion::Pre::Beta) return out + fmt::format("beta{}", v.pre_number);
  const bool unnumbered = v.patch == 0 && GoVersion{v.major, v.minor} < kFirstSwitchingGo;
  if (v.patch >= 0 && !unnumbered) out += fmt::format(".{}", v.patch);
  return out;
}

std::string toolchain_module_version(const GoVersion& version, std::string_view os,
                                     std::string_view arch) {
  return fmt::format("{}{}.{}-{}", kToolchainPrefix, to_string(version), os, arch);
}

std::vector<GoVersion> patch_candidates(std::span<const std::string_view> listed,
                                        const GoVersion& range, std::string_view os,
                                        std::string_view arch) {
  const std::string platform = fmt::format(".{}-{}", os, arch);
  std::vector<GoVersion> found;
  for (std::string_view entry : listed) {
    if (!take(entry, kToolchainPrefix) || !entry.ends_with(platform)) continue;
    entry.remove_suffix(platform.size());
    const auto v = parse(entry);
    if (v && v->same_language(range) && !v->is_prerelease() && v->patch >= 0) found.push_back(*v);
  }
  std::sort(found.begin(), found.end(), std::greater<>{});
  found.erase(std::unique(found.begin(), found.end()), found.end());
  if (found.empty()) found.push_back({range.major, range.minor, 0});
  return found;
}

}  // namespace gobuildenv::goenv
