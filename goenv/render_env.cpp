#include "goenv/render_env.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "goenv/goflags.hpp"
#include "goenv/names.hpp"
#include "goenv/version.hpp"

namespace gobuildenv::goenv {
namespace {

std::string join(const std::vector<std::string>& items, char separator) {
  std::string out;
  for (const std::string& item : items) {
    if (!out.empty()) out += separator;
    out += item;
  }
  return out;
}

/// GOFLAGS, CGO_CFLAGS and the like. What validation refuses now may be in an object stored before:
/// it is written as it stands.
std::string quoted(const std::vector<std::string>& items) {
  return join_quoted(items).value_or(join(items, ' '));
}

std::string proxy_list(const std::vector<Proxy>& proxies) {
  std::string out;
  for (std::size_t i = 0; i < proxies.size(); ++i) {
    out += proxies[i].url;
    if (i + 1 < proxies.size()) out += proxies[i].fallback == ProxyFallback::AnyError ? '|' : ',';
  }
  return out;
}

std::string below_cache(std::string_view directory) {
  return fmt::format("{}/{}", kCachePath, directory);
}

/// GOTOOLCHAIN. With a mounted toolchain the version's name matters only to a `go` which the
/// launcher does not cover, as on nodes without the agent: it switches to the declared version
/// instead of building with its own.
/// A go older than 1.21 breaks when it runs from the module cache, where a switch would put it.
std::string gotoolchain(const Toolchain& toolchain, std::string_view version) {
  const auto parsed = parse_version(version);
  if (toolchain.delivery == Delivery::Volume && parsed && *parsed < kFirstSwitchingGo) {
    return "local";
  }
  return fmt::format("go{}{}", version,
                     toolchain.switching == Switching::AllowNewer ? "+auto" : "");
}

/// A git credential helper that answers from the netrc file, and for https only. git itself looks
/// for a netrc in HOME alone, which an image or a CI system owns. `default` counts for nobody, as
/// in Go itself.
std::string git_credential_helper() {
  return fmt::format(
      "!f(){{ test \"$1\" = get||return 0;while IFS== read -r k v;do case $k in protocol)p=$v;;"
      "host)h=${{v%%:*}};;esac;done;test \"$p\" = https||return 0;set -f;set -- `cat {}/netrc`;m=;"
      "while test $# -gt 1;do case $1 in machine)m=$2;;default)m=;shift;continue;;login)test "
      "\"$m\" = \"$h\"&&echo "
      "\"username=$2\";;password)test \"$m\" = \"$h\"&&echo "
      "\"password=$2\";;*)shift;continue;;esac;"
      "shift 2;done;}};f",
      kCredentialsPath);
}

class Builder {
 public:
  explicit Builder(std::vector<EnvVar>& out) : out_(out) {}
  /// `value` as it is, also when empty.
  void set(std::string_view name, std::string value) {
    out_.push_back({.name = std::string(name), .value = std::move(value)});
  }
  void declared(std::string_view name, std::string value) {
    if (!value.empty()) set(name, std::move(value));
  }

 private:
  std::vector<EnvVar>& out_;
};

void add_cgo(const Cgo& cgo, Builder& go, Builder& shared) {
  switch (cgo.policy) {
    case CgoPolicy::Disabled:
      // Nothing but this: CC belongs to Python and everybody else.
      go.set("CGO_ENABLED", "0");
      return;
    case CgoPolicy::Enabled:
      go.set("CGO_ENABLED", "1");
      break;
    case CgoPolicy::Auto:
      // Hides an image's CGO_ENABLED, so that Go's own rule applies until launcher or hook, which
      // can look for a compiler, decide.
      go.set("CGO_ENABLED", "");
      break;
  }
  go.declared("CGO_CFLAGS", quoted(cgo.cflags));
  go.declared("CGO_CXXFLAGS", quoted(cgo.cxxflags));
  go.declared("CGO_LDFLAGS", quoted(cgo.ldflags));
  shared.declared("CC", cgo.cc);
  shared.declared("CXX", cgo.cxx);
  shared.declared("PKG_CONFIG_PATH", cgo.pkg_config_path);
}

void add_modules(const Modules& modules, const RenderDefaults& defaults, Builder& go,
                 Builder& shared) {
  go.declared("GOPROXY", proxy_list(modules.proxies.empty() ? defaults.proxies : modules.proxies));
  go.declared("GOPRIVATE", join(modules.private_patterns, ','));
  go.declared("GONOPROXY", join(modules.go_no_proxy, ','));
  go.declared("GONOSUMDB", join(modules.no_sum_db, ','));
  go.declared("GOSUMDB", modules.sum_db.empty() ? defaults.sum_db : modules.sum_db);
  if (!modules.credentials_secret.empty()) {
    shared.set("NETRC", fmt::format("{}/netrc", kCredentialsPath));
    shared.set("GIT_CONFIG_COUNT", "1");
    shared.set("GIT_CONFIG_KEY_0", "credential.helper");
    shared.set("GIT_CONFIG_VALUE_0", git_credential_helper());
  }
  if (modules.ca_bundle) {
    // Setting it replaces Go's list of directories, so the systems' own follow ours.
    shared.set("SSL_CERT_DIR", fmt::format("{}:/etc/ssl/certs:/etc/pki/tls/certs", kCaPath));
  }
  // Go prefers the upper case, curl and git know http_proxy in lower case only.
  const std::array<std::pair<std::string_view, const std::string&>, 3> proxies{
      {{"HTTP_PROXY", modules.http_proxy},
       {"HTTPS_PROXY", modules.https_proxy},
       {"NO_PROXY", modules.no_proxy}}};
  for (const auto& [name, value] : proxies) {
    shared.declared(name, value);
    std::string lower(name);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c == '_' ? c : static_cast<char>(c - 'A' + 'a'); });
    shared.declared(lower, value);
  }
}

std::string gowork(const GoWork& work) {
  switch (work.mode) {
    case GoWorkMode::Auto:
      return "";
    case GoWorkMode::Off:
      return "off";
    case GoWorkMode::Path:
      return work.path;
  }
  return "";
}

}  // namespace

std::string pod_literal(std::string_view value) {
  if (value.find("$(") == std::string_view::npos && value.find("$$") == std::string_view::npos) {
    return std::string(value);
  }
  std::string out;
  for (const char c : value) {
    if (c == '$') out += '$';
    out += c;
  }
  return out;
}

std::string from_pod_literal(std::string_view literal) {
  std::string out;
  for (std::size_t i = 0; i < literal.size(); ++i) {
    out += literal[i];
    if (literal.substr(i, 2) == "$$") ++i;
  }
  return out;
}

DeclaredEnv declared_env(const Spec& spec, std::string_view toolchain_version,
                         const RenderDefaults& defaults) {
  DeclaredEnv env;
  Builder go(env.go);
  Builder shared(env.shared);
  go.set("GOENV", fmt::format("{}/go.env", kFilesPath));
  go.set("GOROOT", "");
  go.set("GOTOOLCHAIN", gotoolchain(spec.toolchain, toolchain_version));
  go.set("GOFLAGS", quoted(spec.flags));
  if (!spec.variables.contains("GO111MODULE")) go.set("GO111MODULE", "");
  go.set("GOWORK", gowork(spec.workspace.go_work));
  go.set("GOPATH", spec.workspace.go_path.empty() ? below_cache("work") : spec.workspace.go_path);
  go.set("GOMODCACHE", below_cache("mod"));
  go.set("GOCACHE", below_cache("build"));
  go.declared("GOBIN", spec.workspace.go_bin);
  add_modules(spec.modules, defaults, go, shared);
  add_cgo(spec.cgo, go, shared);
  for (const auto& [name, value] : spec.variables) go.set(name, value);
  return env;
}

std::string go_env_file(const Spec& spec, const DeclaredEnv& env) {
  // `go env -w` refuses these three, and GOROOT is never ours to set.
  constexpr std::array<std::string_view, 3> kNotInFile{"GOENV", "GOROOT", "GOWORK"};
  std::string out = "# rendered by gobuildenv\n";
  const auto line = [&out](std::string_view name, std::string_view value) {
    if (!value.empty()) fmt::format_to(std::back_inserter(out), "{}={}\n", name, value);
  };
  for (const EnvVar& var : env.go) {
    if (std::find(kNotInFile.begin(), kNotInFile.end(), var.name) == kNotInFile.end()) {
      line(var.name, var.value);
    }
  }
  if (spec.cgo.policy != CgoPolicy::Disabled) {
    line("CC", spec.cgo.cc.empty() ? "gcc" : spec.cgo.cc);
    line("CXX", spec.cgo.cxx.empty() ? "g++" : spec.cgo.cxx);
  }
  return out;
}

}  // namespace gobuildenv::goenv
