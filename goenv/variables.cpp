#include "goenv/variables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "goenv/goflags.hpp"
#include "goenv/patterns.hpp"
#include "goenv/text.hpp"

namespace gobuildenv::goenv {
namespace {

using Check = std::optional<std::string> (*)(std::string_view);

/// A variable with a closed list of values (internal/buildcfg), or with a check of its own, or
/// free.
struct Allowed {
  std::string_view name;
  std::string_view values = {};  ///< separated by spaces
  Check check = nullptr;
};

/// A comma-separated list of words as in GOEXPERIMENT ("norangefunc,aliastypeparams").
std::optional<std::string> check_words(std::string_view value) {
  for (const auto word : split(value, ',')) {
    if (word.empty() || !all_of(word, [](char c) { return is_lower(c) || is_digit(c); })) {
      return "must be names in lower case, separated by commas";
    }
  }
  return std::nullopt;
}

std::optional<std::string> check_goarm(std::string_view value) {
  const auto float_at = value.find(',');
  const auto level = value.substr(0, float_at);
  const auto rest = float_at == std::string_view::npos ? "" : value.substr(float_at);
  const bool known_rest = rest.empty() || rest == ",softfloat" || rest == ",hardfloat";
  if ((level == "5" || level == "6" || level == "7") && known_rest) return std::nullopt;
  return "must be 5, 6 or 7, with \",softfloat\" or \",hardfloat\" after it if need be";
}

std::optional<std::string> check_goarm64(std::string_view value) {
  auto base = value;
  for (const std::string_view option : {",lse", ",crypto", ",lse"}) {
    if (base.ends_with(option)) base.remove_suffix(option.size());
  }
  const bool shaped = base.size() == 4 && base[0] == 'v' && base[2] == '.' && is_digit(base[3]);
  if (shaped && (base[1] == '8' || (base[1] == '9' && base[3] <= '5'))) return std::nullopt;
  return "must be v8.0 to v8.9 or v9.0 to v9.5, with \",lse\" or \",crypto\" after it if need be";
}

std::optional<std::string> check_gowasm(std::string_view value) {
  for (const auto word : split(value, ',')) {
    if (word != "satconv" && word != "signext") {
      return "must be satconv, signext or both with a comma";
    }
  }
  return std::nullopt;
}

std::optional<std::string> check_fips(std::string_view value) {
  for (const std::string_view word : {"off", "latest", "inprocess", "certified"}) {
    if (value == word) return std::nullopt;
  }
  const bool version = value.starts_with("v1.") && value.size() > 5 && all_of(value, [](char c) {
                         return is_digit(c) || is_lower(c) || c == '.' || c == '-';
                       });
  if (version) return std::nullopt;
  return "must be off, latest, inprocess, certified or a version such as v1.0.0";
}

/// GOMEMLIMIT: a malformed one ends every Go program at its start (runtime/mgcpacer.go).
std::optional<std::string> check_memory_limit(std::string_view value) {
  if (value == "off") return std::nullopt;
  auto digits = value;
  for (const std::string_view unit : {"KiB", "MiB", "GiB", "TiB", "B"}) {
    if (digits.ends_with(unit)) {
      digits.remove_suffix(unit.size());
      break;
    }
  }
  if (!digits.empty() && digits.size() <= 15 && all_of(digits, is_digit)) return std::nullopt;
  return "must be a number of bytes with B, KiB, MiB, GiB or TiB after it if need be, or off";
}

std::optional<std::string> check_gc_percent(std::string_view value) {
  if (value == "off") return std::nullopt;
  if (value.size() <= 6 && all_of(value, is_digit)) return std::nullopt;
  return "must be a percentage such as 100, or off";
}

std::optional<std::string> check_count(std::string_view value) {
  if (value.size() <= 4 && value.front() != '0' && all_of(value, is_digit)) return std::nullopt;
  return "must be a number of 1 or more";
}

/// GOAUTH runs its first word as a command, except for three built-in ones (go help goauth).
std::optional<std::string> check_goauth(std::string_view value) {
  for (const auto part : split(value, ';')) {
    const auto command = trim(part);
    if (command != "off" && command != "netrc" && !command.starts_with("git ")) {
      return "may be off, netrc or \"git DIR\"; anything else is a program that go would run";
    }
  }
  return std::nullopt;
}

std::optional<std::string> check_godebug(std::string_view value) {
  for (const auto part : split(value, ',')) {
    const auto equals = part.find('=');
    const bool named = equals != std::string_view::npos && equals > 0 &&
                       all_of(part.substr(0, equals), [](char c) { return is_alnum(c); });
    if (!named) return "must be name=value pairs, separated by commas";
  }
  return std::nullopt;
}

/// GOVCS: "pattern:vcs|vcs,…" (cmd/go/internal/modload and vcs): a malformed one is fatal.
std::optional<std::string> check_govcs(std::string_view value) {
  for (const auto part : split(value, ',')) {
    const auto item = trim(part);
    const auto colon = item.find(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == item.size() ||
        item.find(':', colon + 1) != std::string_view::npos) {
      return "must be pattern:list entries such as \"git.example:git,*:git|hg\"";
    }
    if (auto bad = check_pattern(trim(item.substr(0, colon)))) return bad;
    for (const auto vcs : split(item.substr(colon + 1), '|')) {
      if (trim(vcs).empty())
        return "must name a version control system after every \":\" and \"|\"";
    }
  }
  return std::nullopt;
}

std::optional<std::string> check_patterns(std::string_view value) {
  for (const auto part : split(value, ',')) {
    if (auto bad = check_pattern(part)) return bad;
  }
  return std::nullopt;
}

std::optional<std::string> check_directory(std::string_view value) { return check_path(value); }

std::optional<std::string> check_flags(std::string_view value) {
  const auto fields = split_quoted(value);
  if (fields) return std::nullopt;
  return fields.error();
}

constexpr std::array kAllowed{
    Allowed{"CGO_CFLAGS_ALLOW"},
    Allowed{"CGO_CFLAGS_DISALLOW"},
    Allowed{"CGO_CPPFLAGS", {}, check_flags},
    Allowed{"CGO_CPPFLAGS_ALLOW"},
    Allowed{"CGO_CPPFLAGS_DISALLOW"},
    Allowed{"CGO_CXXFLAGS_ALLOW"},
    Allowed{"CGO_CXXFLAGS_DISALLOW"},
    Allowed{"CGO_FFLAGS", {}, check_flags},
    Allowed{"CGO_FFLAGS_ALLOW"},
    Allowed{"CGO_FFLAGS_DISALLOW"},
    Allowed{"CGO_LDFLAGS_ALLOW"},
    Allowed{"CGO_LDFLAGS_DISALLOW"},
    Allowed{"GO111MODULE", "on auto off"},
    Allowed{"GO386", "sse2 softfloat"},
    Allowed{"GOAMD64", "v1 v2 v3 v4"},
    Allowed{"GOARM", {}, check_goarm},
    Allowed{"GOARM64", {}, check_goarm64},
    Allowed{"GOAUTH", {}, check_goauth},
    Allowed{"GOCOVERDIR", {}, check_directory},
    Allowed{"GODEBUG", {}, check_godebug},
    Allowed{"GOEXPERIMENT", {}, check_words},
    Allowed{"GOFIPS140", {}, check_fips},
    Allowed{"GOGC", {}, check_gc_percent},
    Allowed{"GOINSECURE", {}, check_patterns},
    Allowed{"GOMAXPROCS", {}, check_count},
    Allowed{"GOMEMLIMIT", {}, check_memory_limit},
    Allowed{"GOMIPS", "hardfloat softfloat"},
    Allowed{"GOMIPS64", "hardfloat softfloat"},
    Allowed{"GOPPC64", "power8 power9 power10"},
    Allowed{"GORISCV64", "rva20u64 rva22u64 rva23u64"},
    Allowed{"GOTMPDIR", {}, check_directory},
    Allowed{"GOTRACEBACK", "none single all system crash 0 1 2"},
    Allowed{"GOVCS", {}, check_govcs},
    Allowed{"GOWASM", {}, check_gowasm},
    Allowed{"GO_EXTLINK_ENABLED", "0 1"},
};

/// Variables that a field of the spec sets.
struct Owned {
  std::string_view name;
  std::string_view field;
};
constexpr std::array kOwned{
    Owned{"CC", "spec.cgo.cc"},
    Owned{"CGO_CFLAGS", "spec.cgo.cflags"},
    Owned{"CGO_CXXFLAGS", "spec.cgo.cxxflags"},
    Owned{"CGO_ENABLED", "spec.cgo.policy"},
    Owned{"CGO_LDFLAGS", "spec.cgo.ldflags"},
    Owned{"CXX", "spec.cgo.cxx"},
    Owned{"GOBIN", "spec.workspace.goBin"},
    Owned{"GOCACHE", "spec.cache.build"},
    Owned{"GOFLAGS", "spec.flags"},
    Owned{"GOMODCACHE", "spec.cache.modules"},
    Owned{"GONOPROXY", "spec.modules.goNoProxy"},
    Owned{"GONOSUMDB", "spec.modules.noSumDB"},
    Owned{"GOPATH", "spec.workspace.goPath"},
    Owned{"GOPRIVATE", "spec.modules.private"},
    Owned{"GOPROXY", "spec.modules.proxies"},
    Owned{"GOSUMDB", "spec.modules.sumDB"},
    Owned{"GOTOOLCHAIN", "spec.toolchain"},
    Owned{"GOWORK", "spec.workspace.goWork"},
    Owned{"HTTPS_PROXY", "spec.modules.httpsProxy"},
    Owned{"HTTP_PROXY", "spec.modules.httpProxy"},
    Owned{"NETRC", "spec.modules.credentialsSecretRef"},
    Owned{"NO_PROXY", "spec.modules.noProxy"},
    Owned{"PKG_CONFIG_PATH", "spec.cgo.pkgConfigPath"},
    Owned{"SSL_CERT_DIR", "spec.modules.caBundle"},
    Owned{"SSL_CERT_FILE", "spec.modules.caBundle"},
    Owned{"http_proxy", "spec.modules.httpProxy"},
    Owned{"https_proxy", "spec.modules.httpsProxy"},
    Owned{"no_proxy", "spec.modules.noProxy"},
};

/// Names refused for a reason of their own.
struct Refused {
  std::string_view name;
  std::string_view reason;
};
constexpr std::string_view kComputed = "is computed by go and cannot be set";
constexpr std::string_view kNotOnlyGo =
    "would change every other build in the container; set it in the pod if that is meant";
constexpr std::array kRefused{
    Refused{"AR", kNotOnlyGo},
    Refused{"FC", kNotOnlyGo},
    Refused{"GCCGO", kNotOnlyGo},
    Refused{"PKG_CONFIG", kNotOnlyGo},
    Refused{"GOARCH",
            "would make every build a cross build; list it in spec.platforms and set it "
            "on the command line"},
    Refused{"GOCACHEPROG", "is a program that go would run for every build"},
    Refused{"GOENV", "names the file with the declared settings and is set by the operator"},
    Refused{"GOEXE", kComputed},
    Refused{"GOGCCFLAGS", kComputed},
    Refused{"GOHOSTARCH", kComputed},
    Refused{"GOHOSTOS", kComputed},
    Refused{"GOMOD", kComputed},
    Refused{"GOOS",
            "would make every build a cross build; list it in spec.platforms and set it on "
            "the command line"},
    Refused{"GOROOT",
            "is kept unset, so that the declared toolchain finds its own; choose the "
            "toolchain with spec.toolchain"},
    Refused{"GOTELEMETRY", kComputed},
    Refused{"GOTELEMETRYDIR", kComputed},
    Refused{"GOTOOLDIR", kComputed},
    Refused{"GOVERSION", kComputed},
    Refused{"BASH_ENV", "is a script that every bash would run"},
    Refused{"ENV", "is a script that every shell would run"},
    Refused{"HOME", "moves every program's files; Go's caches have fields in spec.cache"},
    Refused{"PATH", "would hide the image's programs; the launcher puts the toolchain first"},
};

template <class Table>
const auto* find(const Table& table, std::string_view name) {
  const auto it =
      std::find_if(table.begin(), table.end(), [&](const auto& row) { return row.name == name; });
  return it == table.end() ? nullptr : &*it;
}

}  // namespace

std::optional<std::string> check_variable_name(std::string_view name) {
  if (find(kAllowed, name) != nullptr) return std::nullopt;
  if (const auto* owned = find(kOwned, name)) {
    return fmt::format("is set by {}: write it there", owned->field);
  }
  if (const auto* refused = find(kRefused, name)) return std::string(refused->reason);
  if (name.starts_with("GOBUILDENV")) return "belongs to the operator";
  if (name.starts_with("LD_") || name.starts_with("DYLD_")) {
    return "changes which code every program in the container loads";
  }
  return "is not a variable of the go command; set it in the pod";
}

std::optional<std::string> check_variable_value(std::string_view name, std::string_view value) {
  if (has_control(value)) return "holds a line break or another control character";
  const auto* allowed = find(kAllowed, name);
  if (allowed == nullptr || value.empty()) return std::nullopt;
  if (allowed->check != nullptr) return allowed->check(value);
  if (allowed->values.empty()) return std::nullopt;
  for (const auto option : split(allowed->values, ' ')) {
    if (option == value) return std::nullopt;
  }
  return fmt::format("must be one of {}", allowed->values);
}

}  // namespace gobuildenv::goenv
