#include "goenv/revision.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <sstream>

#include "crds/digest.hpp"
#include "goenv/render_env.hpp"
#include "goenv/render_scripts.hpp"

namespace gobuildenv::goenv {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::optional<std::string> value(const std::vector<EnvVar>& env, std::string_view name) {
  for (const EnvVar& var : env) {
    if (var.name == name) return var.value;
  }
  return std::nullopt;
}

std::optional<std::string> env_of(const Spec& spec, std::string_view name,
                                  std::string_view version = "1.22.3") {
  return value(render(spec, version, {}).plan.env, name);
}

std::optional<std::string> launcher_value(const PodPlan& plan, std::string_view name) {
  for (const LauncherVar& var : plan.launcher_env) {
    if (var.name == name) return var.value;
  }
  return std::nullopt;
}

/// A line `name=…` of go.env.
std::optional<std::string> file_line(const Revision& revision, const std::string& name) {
  std::istringstream lines(revision.data.at("go.env"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name + "=")) return line.substr(name.size() + 1);
  }
  return std::nullopt;
}

std::set<std::string> paths(const Spec& spec, std::string_view key) {
  std::set<std::string> out;
  for (const FileMount& file : render(spec, "1.22.3", {}).plan.files) {
    if (file.key == key) out.insert(file.path);
  }
  return out;
}

Spec full_spec() {
  Spec spec;
  spec.toolchain.version = "1.22";
  spec.cgo = {.policy = CgoPolicy::Enabled,
              .cc = "clang",
              .cxx = "clang++",
              .cflags = {"-O2", "-DNAME=a b"},
              .cxxflags = {"-O1"},
              .ldflags = {"-lm"},
              .pkg_config_path = "/opt/pc"};
  spec.flags = {"-trimpath", "-ldflags=-s -w"};
  spec.modules.proxies = {{"https://goproxy.example", ProxyFallback::AnyError},
                          {"https://mirror.example", ProxyFallback::NotFound},
                          {"direct", ProxyFallback::NotFound}};
  spec.modules.private_patterns = {"git.example/a", "*.corp.example"};
  spec.modules.go_no_proxy = {"none"};
  spec.modules.no_sum_db = {"git.example/a"};
  spec.modules.sum_db = "off";
  spec.modules.credentials_secret = "netrc";
  spec.modules.ca_bundle = ConfigMapKeyRef{"ca", "ca.crt"};
  spec.modules.http_proxy = "http://proxy.example:3128";
  spec.modules.no_proxy = "10.0.0.0/8";
  spec.conda.environment = "build";
  spec.conda.environment_exists = true;
  spec.conda.base_image = "registry.example/conda:1";
  spec.workspace.go_bin = "/work/bin";
  spec.workspace.go_work = {GoWorkMode::Off, ""};
  spec.variables = {{"GOEXPERIMENT", "rangefunc"}, {"GOAMD64", "v2"}};
  return spec;
}

TEST(Render, HasTheKeysOfARevision) {
  std::vector<std::string> keys;
  for (const auto& [key, text] : render({}, "1.22.3", {}).data) keys.push_back(key);
  EXPECT_THAT(keys, ElementsAre("activate.sh", "deactivate.sh", "go", "go.env", "pod.json",
                                "preflight.sh"));
}

TEST(Render, PodJsonIsThePlan) {
  const Revision revision = render(full_spec(), "1.22.3", {});
  EXPECT_EQ(revision.data.at("pod.json"), encode(revision.plan));
  EXPECT_EQ(revision.plan.renderer, kRendererVersion);
}

TEST(Render, LeavesNoMarkerInAScript) {
  for (const auto& [key, text] : render(full_spec(), "1.22.3", {}).data) {
    EXPECT_THAT(text, Not(HasSubstr(": @"))) << key;
  }
}

TEST(Render, StaysSmallEnoughForTenThousand) {
  const Revision revision = render({}, "1.22.3", {});
  std::size_t all = 0;
  for (const auto& [key, text] : revision.data) all += text.size();
  EXPECT_LE(revision.data.at("pod.json").size(), 1536U);
  EXPECT_LE(all, 12U << 10);
}

TEST(Env, NeverHasPathHomeOrThePlatform) {
  for (const Delivery delivery : {Delivery::Volume, Delivery::Download}) {
    Spec spec = full_spec();
    spec.toolchain.delivery = delivery;
    for (const std::string name : {"PATH", "HOME", "GOOS", "GOARCH"}) {
      EXPECT_EQ(env_of(spec, name), std::nullopt) << name;
      EXPECT_EQ(file_line(render(spec, "1.22.3", {}), name), std::nullopt) << name;
    }
  }
}

TEST(Env, HidesWhatAnImageMaySay) {
  for (const std::string name : {"GOROOT", "GOFLAGS", "GOWORK", "GO111MODULE"}) {
    EXPECT_EQ(env_of({}, name), "") << name;
  }
}

TEST(Env, CachesAreExplicitAndGobinIsNot) {
  EXPECT_EQ(env_of({}, "GOPATH"), "/var/cache/gobuildenv/work");
  EXPECT_EQ(env_of({}, "GOMODCACHE"), "/var/cache/gobuildenv/mod");
  EXPECT_EQ(env_of({}, "GOCACHE"), "/var/cache/gobuildenv/build");
  EXPECT_EQ(env_of({}, "GOBIN"), std::nullopt);
  EXPECT_EQ(env_of(full_spec(), "GOBIN"), "/work/bin");
}

TEST(Env, CgoFollowsThePolicy) {
  Spec spec = full_spec();
  spec.toolchain.delivery = Delivery::Download;
  EXPECT_EQ(env_of(spec, "CGO_ENABLED"), "1");
  EXPECT_EQ(env_of(spec, "CC"), "clang");
  EXPECT_EQ(env_of(spec, "CGO_CFLAGS"), "-O2 '-DNAME=a b'");
  spec.cgo.policy = CgoPolicy::Auto;
  EXPECT_EQ(env_of(spec, "CGO_ENABLED"), "");
  spec.cgo.policy = CgoPolicy::Disabled;
  EXPECT_EQ(env_of(spec, "CGO_ENABLED"), "0");
  const Revision revision = render(spec, "1.22.3", {});
  for (const std::string name : {"CC", "CXX", "CGO_CFLAGS", "PKG_CONFIG_PATH"}) {
    EXPECT_EQ(value(revision.plan.env, name), std::nullopt) << name;
    EXPECT_EQ(file_line(revision, name), std::nullopt) << name;
  }
}

TEST(Env, WithALauncherSharedVariablesStayOutOfTheContainer) {
  const PodPlan plan = render(full_spec(), "1.22.3", {}).plan;
  for (const std::string name : {"CC", "CXX", "PKG_CONFIG_PATH", "HTTP_PROXY", "http_proxy",
                                 "NO_PROXY", "SSL_CERT_DIR", "NETRC", "GIT_CONFIG_COUNT"}) {
    EXPECT_EQ(value(plan.env, name), std::nullopt) << name;
    EXPECT_NE(launcher_value(plan, name), std::nullopt) << name;
  }
  Spec download = full_spec();
  download.toolchain.delivery = Delivery::Download;
  const PodPlan without = render(download, "1.22.3", {}).plan;
  EXPECT_TRUE(without.launcher_env.empty());
  // Where no launcher is mounted, the webhook sets what Download has in the container's env.
  for (const LauncherVar& var : plan.launcher_env) {
    EXPECT_EQ(var.value, value(without.env, var.name)) << var.name;
  }
  EXPECT_EQ(value(without.env, "NETRC"), "/etc/gobuildenv-credentials/netrc");
  EXPECT_EQ(value(without.env, "SSL_CERT_DIR"),
            "/etc/gobuildenv-ca:/etc/ssl/certs:/etc/pki/tls/certs");
  EXPECT_EQ(value(without.env, "http_proxy"), "http://proxy.example:3128");
  // Kubernetes takes $$ for $ and would expand $(…).
  EXPECT_THAT(*value(without.env, "GIT_CONFIG_VALUE_0"), Not(HasSubstr("$(")));
}

TEST(Env, ModulesSettings) {
  const Spec spec = full_spec();
  EXPECT_EQ(env_of(spec, "GOPROXY"), "https://goproxy.example|https://mirror.example,direct");
  EXPECT_EQ(env_of(spec, "GOPRIVATE"), "git.example/a,*.corp.example");
  EXPECT_EQ(env_of(spec, "GONOPROXY"), "none");
  EXPECT_EQ(env_of(spec, "GONOSUMDB"), "git.example/a");
  EXPECT_EQ(env_of(spec, "GOSUMDB"), "off");
  EXPECT_EQ(env_of(spec, "GOFLAGS"), "-trimpath '-ldflags=-s -w'");
  EXPECT_EQ(env_of(spec, "GOWORK"), "off");
  EXPECT_EQ(env_of(spec, "GOEXPERIMENT"), "rangefunc");
}

TEST(Env, DefaultsServeWhereTheSpecIsSilent) {
  const RenderDefaults defaults{.proxies = {{"https://default.example", ProxyFallback::NotFound}},
                                .sum_db = "sums.example"};
  const Revision silent = render({}, "1.22.3", defaults);
  EXPECT_EQ(value(silent.plan.env, "GOPROXY"), "https://default.example");
  EXPECT_EQ(file_line(silent, "GOSUMDB"), "sums.example");
  EXPECT_EQ(value(render(full_spec(), "1.22.3", defaults).plan.env, "GOSUMDB"), "off");
  EXPECT_EQ(env_of({}, "GOPROXY"), std::nullopt);
}

struct ToolchainCase {
  Delivery delivery;
  Switching switching;
  const char* version;
  const char* gotoolchain;
};

TEST(Env, Gotoolchain) {
  const std::vector<ToolchainCase> table{
      {Delivery::Download, Switching::Pinned, "1.22.3", "go1.22.3"},
      {Delivery::Download, Switching::AllowNewer, "1.22.3", "go1.22.3+auto"},
      {Delivery::Volume, Switching::Pinned, "1.22.3", "go1.22.3"},
      {Delivery::Volume, Switching::AllowNewer, "1.22.3", "go1.22.3+auto"},
      {Delivery::Volume, Switching::AllowNewer, "1.20", "local"},
      {Delivery::Volume, Switching::Pinned, "1.20", "local"},
      {Delivery::Volume, Switching::Pinned, "1.19.13", "local"},
      {Delivery::Volume, Switching::Pinned, "1.21.0", "go1.21.0"}};
  for (const ToolchainCase& row : table) {
    Spec spec;
    spec.toolchain.delivery = row.delivery;
    spec.toolchain.switching = row.switching;
    EXPECT_EQ(env_of(spec, "GOTOOLCHAIN", row.version), row.gotoolchain) << row.version;
  }
}

TEST(Files, LauncherHidesTheImagesGo) {
  Spec spec;
  EXPECT_THAT(paths(spec, "go"), ElementsAre("/opt/conda/bin/go", "/opt/conda/bin/gofmt",
                                             "/usr/local/bin/go", "/usr/local/bin/gofmt",
                                             "/usr/local/go/bin/go", "/usr/local/go/bin/gofmt"));
  spec.conda.environment = "py";
  EXPECT_FALSE(paths(spec, "go").contains("/opt/conda/envs/py/bin/go"));
  spec.conda.environment_exists = true;
  EXPECT_TRUE(paths(spec, "go").contains("/opt/conda/envs/py/bin/go"));
  spec.injection.launcher_paths = {"/sw/bin"};
  EXPECT_THAT(paths(spec, "go"), ElementsAre("/sw/bin/go", "/sw/bin/gofmt"));
  spec.injection.launcher_paths = std::vector<std::string>{};
  EXPECT_TRUE(paths(spec, "go").empty());
  spec.injection.launcher_paths.reset();
  spec.toolchain.delivery = Delivery::Download;
  EXPECT_TRUE(paths(spec, "go").empty());
}

TEST(Files, NoPathTwice) {
  Spec spec;
  spec.conda.prefix = "/usr/local";
  const PodPlan plan = render(spec, "1.22.3", {}).plan;
  std::set<std::string> seen;
  for (const FileMount& file : plan.files) EXPECT_TRUE(seen.insert(file.path).second) << file.path;
}

TEST(Files, HookRunsLastInEachKnownPrefix) {
  Spec spec;
  spec.conda.prefix = "/sw/conda";
  spec.conda.environment = "py";
  EXPECT_THAT(paths(spec, "activate.sh"),
              ElementsAre("/sw/conda/etc/conda/activate.d/zzz-gobuildenv.sh"));
  spec.conda.environment_exists = true;
  EXPECT_THAT(paths(spec, "deactivate.sh"),
              ElementsAre("/sw/conda/envs/py/etc/conda/deactivate.d/zzz-gobuildenv.sh",
                          "/sw/conda/etc/conda/deactivate.d/zzz-gobuildenv.sh"));
  spec.conda.activation = Activation::None;
  EXPECT_TRUE(paths(spec, "activate.sh").empty());
}

TEST(Plan, MountsFollowTheSpec) {
  const PodPlan plan = render(full_spec(), "1.22.3", {}).plan;
  EXPECT_EQ(plan.toolchain_path, "/opt/gobuildenv/toolchain");
  EXPECT_EQ(plan.credentials_secret, "netrc");
  EXPECT_EQ(plan.ca_config_map, "ca");
  EXPECT_EQ(plan.ca_key, "ca.crt");
  EXPECT_EQ(plan.conda_base_image, "registry.example/conda:1");
  ASSERT_EQ(plan.caches.size(), 3U);
  Spec own_path;
  own_path.toolchain.delivery = Delivery::Download;
  own_path.workspace.go_path = "/go";
  const PodPlan without = render(own_path, "1.22.3", {}).plan;
  EXPECT_EQ(without.caches.size(), 2U);
  EXPECT_EQ(without.toolchain_path, "");
  EXPECT_EQ(value(without.env, "GOPATH"), "/go");
}

TEST(GoEnvFile, HoldsNothingThatGoRefuses) {
  const Revision revision = render(full_spec(), "1.22.3", {});
  for (const std::string name : {"GOROOT", "GOENV", "GOWORK", "NETRC", "HTTP_PROXY"}) {
    EXPECT_EQ(file_line(revision, name), std::nullopt) << name;
  }
  EXPECT_EQ(file_line(revision, "GOFLAGS"), "-trimpath '-ldflags=-s -w'");
  EXPECT_EQ(file_line(revision, "CC"), "clang");
}

TEST(GoEnvFile, NamesTheUsualCompilerWhereCgoMayBeOn) {
  Spec spec;
  spec.cgo.policy = CgoPolicy::Auto;
  EXPECT_EQ(file_line(render(spec, "1.22.3", {}), "CC"), "gcc");
  EXPECT_EQ(file_line(render(spec, "1.22.3", {}), "CGO_ENABLED"), std::nullopt);
}

TEST(Text, PodLiteralSurvivesKubernetes) {
  EXPECT_EQ(pod_literal("plain $HOME"), "plain $HOME");
  EXPECT_EQ(pod_literal("$(NAME)"), "$$(NAME)");
  EXPECT_EQ(pod_literal("a$$b$c"), "a$$$$b$$c");
}

RC_GTEST_PROP(Text, PodLiteralCanBeUndone, ()) {
  const auto text = *rc::gen::container<std::string>(rc::gen::element('$', '(', ')', 'a'));
  RC_ASSERT(from_pod_literal(pod_literal(text)) == text);
}

RC_GTEST_PROP(Text, ShellQuoteIsOneWord, (const std::string& text)) {
  const std::string quoted = shell_quote(text);
  // Read back by the rules of POSIX sh: quotes toggle, a backslash outside them takes the next.
  std::string read;
  bool inside = false;
  for (std::size_t i = 0; i < quoted.size(); ++i) {
    if (quoted[i] == '\'') {
      inside = !inside;
    } else if (quoted[i] == '\\' && !inside) {
      read += quoted[++i];
    } else {
      RC_ASSERT(inside);
      read += quoted[i];
    }
  }
  RC_ASSERT(!inside);
  RC_ASSERT(read == text);
}

TEST(Hash, DependsOnEveryByteAndOnTheFraming) {
  const auto hash = [](const std::map<std::string, std::string>& data, std::string_view salt = "") {
    return content_hash(data, salt, crds::sha256_hex);
  };
  EXPECT_THAT(hash({{"a", "b"}}), ::testing::MatchesRegex("[0-9a-f]{10}"));
  EXPECT_NE(hash({{"a", "b"}}), hash({{"a", "c"}}));
  EXPECT_NE(hash({{"a", "bc"}}), hash({{"ab", "c"}}));
  EXPECT_NE(hash({{"a", "b"}, {"c", "d"}}), hash({{"a", "bcd"}}));
  EXPECT_NE(hash({{"a", "b"}}), hash({{"a", "b"}}, "again"));
  EXPECT_EQ(config_map_name("build", "0123456789"), "build-0123456789");
}

TEST(Hash, RenderingIsDeterministicAndSpecsDiffer) {
  const auto hash = [](const Spec& spec) {
    return content_hash(render(spec, "1.22.3", {}).data, "", crds::sha256_hex);
  };
  EXPECT_EQ(hash(full_spec()), hash(full_spec()));
  // Each of these changes what a build gets, so it has to be another revision.
  const std::vector<std::function<void(Spec&)>> edits{
      [](Spec& s) { s.cgo.policy = CgoPolicy::Auto; },
      [](Spec& s) { s.flags.pop_back(); },
      [](Spec& s) { s.toolchain.delivery = Delivery::Download; },
      [](Spec& s) { s.toolchain.switching = Switching::AllowNewer; },
      [](Spec& s) { s.modules.proxies[0].fallback = ProxyFallback::NotFound; },
      [](Spec& s) { s.injection.enforcement = Enforcement::Enforce; },
      [](Spec& s) { s.injection.preflight = Preflight::Require; },
      [](Spec& s) { s.conda.activation = Activation::None; },
      [](Spec& s) { s.cache.modules = CacheScope::Namespace; },
      [](Spec& s) { s.injection.exclude = {"x"}; },
      [](Spec& s) { s.variables["GOAMD64"] = "v3"; }};
  std::set<std::string> seen{hash(full_spec())};
  for (std::size_t i = 0; i < edits.size(); ++i) {
    Spec spec = full_spec();
    edits[i](spec);
    EXPECT_TRUE(seen.insert(hash(spec)).second) << "edit " << i;
  }
  // What only the operator acts on must not make new revisions.
  Spec spec = full_spec();
  spec.revision_history_limit = 9;
  spec.platforms = {{"darwin", "arm64"}};
  EXPECT_EQ(hash(spec), hash(full_spec()));
}

}  // namespace
}  // namespace gobuildenv::goenv
