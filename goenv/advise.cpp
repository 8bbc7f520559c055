#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "goenv/goflags.hpp"
#include "goenv/text.hpp"
#include "goenv/validate.hpp"
#include "goenv/version.hpp"

namespace gobuildenv::goenv {
namespace {

using Advice = std::vector<std::string>;

/// What an API server passes on without cutting it.
constexpr std::size_t kMaxWarning = 120;

/// Platforms of current toolchains (`go tool dist list`); a newer one may know more.
constexpr std::array<std::string_view, 50> kPlatforms{
    "aix/ppc64",       "android/386",   "android/amd64",   "android/arm",    "android/arm64",
    "darwin/amd64",    "darwin/arm64",  "dragonfly/amd64", "freebsd/386",    "freebsd/amd64",
    "freebsd/arm",     "freebsd/arm64", "freebsd/riscv64", "illumos/amd64",  "ios/amd64",
    "ios/arm64",       "js/wasm",       "linux/386",       "linux/amd64",    "linux/arm",
    "linux/arm64",     "linux/loong64", "linux/mips",      "linux/mips64",   "linux/mips64le",
    "linux/mipsle",    "linux/ppc64",   "linux/ppc64le",   "linux/riscv64",  "linux/s390x",
    "netbsd/386",      "netbsd/amd64",  "netbsd/arm",      "netbsd/arm64",   "openbsd/386",
    "openbsd/amd64",   "openbsd/arm",   "openbsd/arm64",   "openbsd/mips64", "openbsd/ppc64",
    "openbsd/riscv64", "plan9/386",     "plan9/amd64",     "plan9/arm",      "solaris/amd64",
    "wasip1/wasm",     "windows/386",   "windows/amd64",   "windows/arm",    "windows/arm64"};

void toolchain(const Spec& spec, Advice& out) {
  const auto& in = spec.toolchain;
  if (const auto version = parse_version(in.version); version && version->is_prerelease()) {
    out.push_back(fmt::format("spec.toolchain.version {} is a pre-release", to_string(*version)));
  }
  if (in.delivery == Delivery::Download) {
    if (!in.sums.empty()) {
      out.push_back("spec.toolchain.sums has no effect with delivery Download: go verifies itself");
    }
    if (spec.injection.preflight == Preflight::Require) {
      out.push_back(
          "spec.injection.preflight Require has no effect with delivery Download: the launcher "
          "runs "
          "it");
    }
    if (spec.injection.launcher_paths) {
      out.push_back("spec.injection.launcherPaths has no effect with delivery Download");
    }
  }
}

void cgo(const Spec& spec, Advice& out) {
  const auto& in = spec.cgo;
  const bool settings = !in.cc.empty() || !in.cxx.empty() || !in.cflags.empty() ||
                        !in.cxxflags.empty() || !in.ldflags.empty() || !in.pkg_config_path.empty();
  if (in.policy == CgoPolicy::Disabled && settings) {
    out.push_back("spec.cgo: compiler and flags have no effect while policy is Disabled");
  }
  // Nor does admission know the image's variables: only conda's activation hook looks at them.
  if (in.policy != CgoPolicy::Disabled && in.cc.empty() &&
      spec.toolchain.delivery == Delivery::Download) {
    out.push_back(
        "spec.cgo.cc: with delivery Download go takes the image's CC even if there is no such "
        "program, unless you name one");
  }
  const bool cross = std::any_of(spec.platforms.begin(), spec.platforms.end(),
                                 [](const Platform& p) { return p.os != "linux"; });
  if (in.policy == CgoPolicy::Enabled && cross) {
    out.push_back("spec.platforms: cgo for another system needs a cross compiler in spec.cgo.cc");
  }
  for (const auto& [name, value] : spec.variables) {
    if (name.starts_with("CGO_") && name.ends_with("_ALLOW") && !value.empty()) {
      out.push_back(fmt::format(
          "spec.variables.{}: lets every dependency pass these flags to the compiler", name));
    }
  }
}

void flags(const Spec& spec, Advice& out) {
  std::vector<std::string_view> seen;
  for (const auto& text : spec.flags) {
    const auto flag = parse_flag(text);
    if (!flag) continue;
    if (std::find(seen.begin(), seen.end(), flag->name) != seen.end()) {
      out.push_back(fmt::format("spec.flags: -{} is there twice; go uses the last", flag->name));
    }
    seen.push_back(flag->name);
  }
}

void platforms(const Spec& spec, Advice& out) {
  for (const auto& [os, arch] : spec.platforms) {
    const auto name = os + "/" + arch;
    if (std::find(kPlatforms.begin(), kPlatforms.end(), name) == kPlatforms.end()) {
      out.push_back(
          fmt::format("spec.platforms: no current toolchain builds for {}", printable(name)));
    }
  }
  if (!spec.workspace.go_bin.empty() && !spec.platforms.empty()) {
    out.push_back("spec.workspace.goBin: go install refuses to build for another platform with it");
  }
}

void modules(const Spec& spec, Advice& out) {
  const auto& in = spec.modules;
  if (in.sum_db == "off") {
    out.push_back("spec.modules.sumDB off: nothing verifies modules that go.sum does not list");
  }
  for (const auto& proxy : in.proxies) {
    if (proxy.url.starts_with("http://")) {
      out.push_back("spec.modules.proxies: modules and toolchains come over plain http");
      break;
    }
  }
  const auto& patterns = in.private_patterns;
  if (std::find(patterns.begin(), patterns.end(), "*") != patterns.end()) {
    out.push_back("spec.modules.private \"*\": no proxy and no checksum database is ever asked");
  }
  if (const auto it = spec.variables.find("GO111MODULE");
      it != spec.variables.end() && it->second == "off") {
    out.push_back(
        "spec.variables.GO111MODULE off: go.mod files are ignored, generics fail to build");
  }
}

/// Values of which only the toolchain knows whether it has them.
void variables(const Spec& spec, Advice& out) {
  const auto value_of = [&](const char* name) -> std::string_view {
    const auto it = spec.variables.find(name);
    return it == spec.variables.end() ? std::string_view() : it->second;
  };
  if (const auto value = value_of("GOEXPERIMENT"); !value.empty() && value != "none") {
    out.push_back(
        "spec.variables.GOEXPERIMENT: a name that the toolchain does not know ends every command");
  }
  if (value_of("GOFIPS140").starts_with('v')) {
    out.push_back(
        "spec.variables.GOFIPS140: a version that the toolchain does not hold ends every build");
  }
}

void rest(const Spec& spec, Advice& out) {
  if (!spec.conda.environment.empty() && !spec.conda.environment_exists) {
    out.push_back(
        "spec.conda.environment: hook and launcher reach it only with environmentExists: true");
  }
  const bool shared = spec.cache.modules != CacheScope::Pod || spec.cache.build != CacheScope::Pod;
  if (shared) {
    out.push_back(
        "spec.cache: until the node agent serves this node, caches are private to the pod");
  }
  if (shared && spec.cache.trusted_service_accounts.empty()) {
    out.push_back("spec.cache: a shared cache stays empty without trustedServiceAccounts");
  }
  const auto& selector = spec.injection.pod_selector;
  if (selector && selector->match_labels.empty() && selector->match_expressions.empty()) {
    out.push_back("spec.injection.podSelector is empty: every pod of the namespace is changed");
  }
}

}  // namespace

std::vector<std::string> advise(const Spec& spec) {
  Advice out;
  toolchain(spec, out);
  cgo(spec, out);
  flags(spec, out);
  platforms(spec, out);
  modules(spec, out);
  variables(spec, out);
  rest(spec, out);
  for (auto& line : out) {
    if (line.size() > kMaxWarning) line = line.substr(0, kMaxWarning - 3) + "...";
  }
  return out;
}

}  // namespace gobuildenv::goenv
