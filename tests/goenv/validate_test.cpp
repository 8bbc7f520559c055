#include "goenv/validate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace gobuildenv::goenv {
namespace {

using testing::HasSubstr;

Spec good() {
  Spec spec;
  spec.toolchain.version = "1.22.3";
  return spec;
}

struct Case {
  std::function<void(Spec&)> change;
  const char* field;
  const char* message;
};

constexpr const char* kSum = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

TEST(Validate, AcceptsTheLeast) { EXPECT_TRUE(validate(good()).empty()); }

TEST(Validate, NamesFieldAndFix) {
  const Case cases[] = {
      {[](Spec& s) { s.toolchain.version = ""; }, "spec.toolchain.version", "in quotes"},
      {[](Spec& s) { s.toolchain.version = "go1.22"; }, "spec.toolchain.version", "without \"go\""},
      {[](Spec& s) { s.toolchain.version = "1.17"; }, "spec.toolchain.version",
       "older than Go 1.18"},
      {[](Spec& s) { s.toolchain.version = "1.20.0"; }, "spec.toolchain.version", "write \"1.20\""},
      {[](Spec& s) {
         s.toolchain = {"1.20.14", Delivery::Download, {}, {}};
       },
       "spec.toolchain.delivery", "use Volume"},
      {[](Spec& s) {
         s.toolchain.delivery = Delivery::Download;
         s.modules.sum_db = "off";
       },
       "spec.modules.sumDB", "use toolchain.delivery Volume"},
      {[](Spec& s) {
         s.toolchain = {"1.22", {}, {}, {{"linux", "amd64", kSum}}};
       },
       "spec.toolchain.sums", "patch number"},
      {[](Spec& s) {
         s.toolchain.sums = {{"linux", "amd64", "h1:x"}};
       },
       "spec.toolchain.sums[0].sum", "44 characters"},
      {[](Spec& s) {
         s.toolchain.sums = {{"linux", "amd64", kSum}, {"linux", "amd64", kSum}};
       },
       "spec.toolchain.sums[1]", "twice"},
      {[](Spec& s) {
         s.toolchain.sums = {{"Linux", "amd64", kSum}};
       },
       "spec.toolchain.sums[0].os", "lower case"},
      {[](Spec& s) { s.cgo.cc = "./gcc"; }, "spec.cgo.cc", "absolute path"},
      {[](Spec& s) { s.cgo.cc = "'gcc"; }, "spec.cgo.cc", "not closed"},
      {[](Spec& s) { s.cgo.cxx = "  "; }, "spec.cgo.cxx", "no program"},
      {[](Spec& s) {
         s.cgo.cflags = {"-O2", "-DX='\""};
       },
       "spec.cgo.cflags[1]", "both ' and \""},
      {[](Spec& s) { s.cgo.ldflags = {""}; }, "spec.cgo.ldflags[0]", "empty"},
      {[](Spec& s) { s.cgo.pkg_config_path = "/a:b"; }, "spec.cgo.pkgConfigPath", "absolute"},
      {[](Spec& s) {
         s.flags = {"-trimpath", "-toolexec=/x"};
       },
       "spec.flags[1]", "runs another program"},
      {[](Spec& s) { s.flags = {"-ldflags=-X 'a=\"b\"'"}; }, "spec.flags[0]", "both ' and \""},
      {[](Spec& s) { s.flags = {"-ldflags=-a\nb"}; }, "spec.flags[0]", "control character"},
      {[](Spec& s) { s.flags = {"-race"}; }, "spec.flags", "needs cgo"},
      {[](Spec& s) { s.flags = {"-buildmode=c-shared"}; }, "spec.flags", "needs cgo"},
      {[](Spec& s) {
         s.toolchain.version = "1.19";
         s.flags = {"-pgo=off"};
       },
       "spec.flags[0]", "new in Go 1.20"},
      {[](Spec& s) { s.flags.assign(65, "-v"); }, "spec.flags", "at most 64"},
      {[](Spec& s) {
         s.platforms = {{"linux", ""}};
       },
       "spec.platforms[0].arch", "GOOS or GOARCH"},
      {[](Spec& s) {
         s.platforms = {{"linux", "arm64"}, {"linux", "arm64"}};
       },
       "spec.platforms[1]", "twice"},
      {[](Spec& s) {
         s.modules.proxies = {{"goproxy.example", {}}};
       },
       "spec.modules.proxies[0].url", "https://"},
      {[](Spec& s) {
         s.modules.proxies = {{"https://", {}}};
       },
       "spec.modules.proxies[0].url", "name a host"},
      {[](Spec& s) {
         s.modules.proxies = {{"https://h:port/", {}}};
       },
       "spec.modules.proxies[0].url", "name a host"},
      {[](Spec& s) {
         s.modules.proxies = {{"https://h/?x=1", {}}};
       },
       "spec.modules.proxies[0].url", "query"},
      {[](Spec& s) {
         s.modules.proxies = {{"file://host/x", {}}};
       },
       "spec.modules.proxies[0].url", "file:///"},
      {[](Spec& s) {
         s.modules.proxies = {{"direct", {}}, {"https://h", {}}};
       },
       "spec.modules.proxies[0].url", "put it last"},
      {[](Spec& s) {
         s.modules.proxies = {{"http://h", {}}};
         s.modules.credentials_secret = "n";
       },
       "spec.modules.proxies[0].url", "never sent over http"},
      {[](Spec& s) {
         s.modules.private_patterns = {"a", "a"};
       },
       "spec.modules.private[1]", "twice"},
      {[](Spec& s) { s.modules.private_patterns = {"https://git.example"}; },
       "spec.modules.private[0]", "without a scheme"},
      {[](Spec& s) { s.modules.go_no_proxy = {"a[b"}; }, "spec.modules.goNoProxy[0]", "not closed"},
      {[](Spec& s) { s.modules.no_sum_db = {"a,b"}; }, "spec.modules.noSumDB[0]", "one pattern"},
      {[](Spec& s) { s.modules.sum_db = "https://sum.example"; }, "spec.modules.sumDB",
       "start with the name"},
      {[](Spec& s) { s.modules.sum_db = "sum.example+k ftp://x"; }, "spec.modules.sumDB",
       "https:// URL"},
      {[](Spec& s) { s.modules.credentials_secret = "A/b"; },
       "spec.modules.credentialsSecretRef.name", "is not a name"},
      {[](Spec& s) {
         s.modules.ca_bundle = {"ca", "../x"};
       },
       "spec.modules.caBundle.configMapKeyRef.key", "is not a key"},
      {[](Spec& s) { s.modules.http_proxy = "proxy:3128"; }, "spec.modules.httpProxy",
       "URL such as"},
      {[](Spec& s) { s.modules.no_proxy = "http://x"; }, "spec.modules.noProxy", "scheme"},
      {[](Spec& s) { s.conda.prefix = "/opt/conda/"; }, "spec.conda.prefix", "\"/\" at its end"},
      {[](Spec& s) { s.conda.prefix = ""; }, "spec.conda.prefix", "absolute"},
      {[](Spec& s) { s.conda.prefix = "/opt/$(x)"; }, "spec.conda.prefix", "break shells"},
      {[](Spec& s) {
         s.workspace.go_work = {GoWorkMode::Path, "/src/go.work"};
         s.flags = {"-mod=mod"};
       },
       "spec.flags", "goWork.mode Path"},
      {[](Spec& s) {
         s.workspace.go_work = {GoWorkMode::Path, "/src/go.work"};
         s.flags = {"-modfile=tools.mod"};
       },
       "spec.flags", "goWork.mode Path"},
      {[](Spec& s) {
         s.workspace.go_work = {GoWorkMode::Path, "/src/go.work"};
         s.toolchain.version = "1.21";
         s.flags = {"-mod=vendor"};
       },
       "spec.flags", "use Go 1.22 or later"},
      {[](Spec& s) { s.conda.prefix = "/etc/gobuildenv"; }, "spec.conda.prefix",
       "mounted over the image"},
      {[](Spec& s) { s.conda.prefix = "/proc/1/root"; }, "spec.conda.prefix", "is in /proc"},
      {[](Spec& s) { s.injection.launcher_paths = {{"/opt/gobuildenv/toolchain/bin"}}; },
       "spec.injection.launcherPaths[0]", "is in /opt/gobuildenv/toolchain"},
      {[](Spec& s) {
         s.injection.launcher_paths = {{"/usr/bin", "/var/cache/gobuildenv"}};
       },
       "spec.injection.launcherPaths[1]", "mounted over the image"},
      {[](Spec& s) { s.conda.environment = "/x"; }, "spec.conda.environment",
       "path is not supported"},
      {[](Spec& s) { s.conda.environment = "-x"; }, "spec.conda.environment", "is not the name"},
      {[](Spec& s) { s.conda.environment_exists = true; }, "spec.conda.environmentExists",
       "name one"},
      {[](Spec& s) { s.conda.base_image = "Conda:1"; }, "spec.conda.baseImage",
       "is not an image reference"},
      {[](Spec& s) { s.conda.base_image = "conda:1@sha256:12"; }, "spec.conda.baseImage",
       "malformed digest"},
      {[](Spec& s) { s.conda.base_image = "conda:"; }, "spec.conda.baseImage", "malformed tag"},
      {[](Spec& s) { s.conda.base_image = "conda-base.gobuildenv.invalid/auto:1"; },
       "spec.conda.baseImage", "placeholder"},
      {[](Spec& s) { s.workspace.go_path = "go"; }, "spec.workspace.goPath", "absolute"},
      {[](Spec& s) { s.workspace.go_path = "/a:/b"; }, "spec.workspace.goPath", "separate paths"},
      {[](Spec& s) { s.workspace.go_bin = "/"; }, "spec.workspace.goBin", "below"},
      {[](Spec& s) { s.workspace.go_work.mode = GoWorkMode::Path; }, "spec.workspace.goWork.path",
       "is missing"},
      {[](Spec& s) { s.workspace.go_work.path = "/x"; }, "spec.workspace.goWork.path",
       "belongs to mode Path"},
      {[](Spec& s) { s.cache.unused_for = std::chrono::seconds(3599); },
       "spec.cache.retention.unusedFor", "one hour"},
      {[](Spec& s) { s.cache.max_size_bytes = 1000; }, "spec.cache.retention.maxSize", "1Mi"},
      {[](Spec& s) { s.cache.trusted_service_accounts = {"A"}; },
       "spec.cache.trustedServiceAccounts[0]", "is not a name"},
      {[](Spec& s) {
         s.variables = {{"LD_PRELOAD", "x"}};
       },
       "spec.variables.LD_PRELOAD", "which code"},
      {[](Spec& s) {
         s.variables = {{"GOAMD64", "5"}};
       },
       "spec.variables.GOAMD64", "must be one of v1"},
      {[](Spec& s) {
         s.variables = {{"GOTOOLCHAIN", "bash"}};
       },
       "spec.variables.GOTOOLCHAIN", "spec.toolchain"},
      {[](Spec& s) {
         s.injection.pod_selector = PodSelector{{{"a b", "x"}}, {}};
       },
       "spec.injection.podSelector.matchLabels.a b", "label's key"},
      {[](Spec& s) {
         s.injection.pod_selector = PodSelector{{{"a", "x y"}}, {}};
       },
       "spec.injection.podSelector.matchLabels.a", "label's value"},
      {[](Spec& s) {
         s.injection.pod_selector = PodSelector{{}, {{"k", "Is", {"v"}}}};
       },
       "spec.injection.podSelector.matchExpressions[0].operator", "one of In"},
      {[](Spec& s) {
         s.injection.pod_selector = PodSelector{{}, {{"k", "In", {}}}};
       },
       "spec.injection.podSelector.matchExpressions[0].values", "at least one"},
      {[](Spec& s) {
         s.injection.pod_selector = PodSelector{{}, {{"k", "Exists", {"v"}}}};
       },
       "spec.injection.podSelector.matchExpressions[0].values", "In and NotIn"},
      {[](Spec& s) { s.injection.include = {"Main"}; }, "spec.injection.containers.include[0]",
       "glob"},
      {[](Spec& s) { s.injection.launcher_paths = {{"bin"}}; }, "spec.injection.launcherPaths[0]",
       "absolute"},
      {[](Spec& s) { s.export_config_map = "Go"; }, "spec.export.configMapName", "is not a name"},
      {[](Spec& s) { s.revision_history_limit = -1; }, "spec.revisionHistoryLimit",
       "from 0 to 100"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.field);
    Spec spec = good();
    c.change(spec);
    const auto errors = validate(spec);
    ASSERT_EQ(errors.size(), 1U) << (errors.empty() ? "" : errors.back().field);
    EXPECT_EQ(errors[0].field, c.field);
    EXPECT_THAT(errors[0].message, HasSubstr(c.message));
  }
}

TEST(Validate, NeverShowsACredential) {
  Spec spec = good();
  spec.modules.proxies = {{"https://ci:hunter2@goproxy.example", {}}, {"ci:hunter2@host", {}}};
  spec.modules.http_proxy = "http://me:hunter2@proxy:3128";
  spec.modules.https_proxy = "me:hunter2@proxy";
  spec.modules.sum_db = "sum.example+k https://me:hunter2@sum.example";
  spec.modules.no_proxy = "http://me:hunter2@x";
  const auto errors = validate(spec);
  EXPECT_EQ(errors.size(), 6U);
  for (const auto& e : errors) {
    EXPECT_THAT(e.field + e.value + e.message, testing::Not(HasSubstr("hunter2")));
  }
  EXPECT_EQ(errors[0].value, "https://***@goproxy.example");
}

TEST(Validate, FlagsThatNeedCgoAreFineWithIt) {
  Spec spec = good();
  spec.cgo.policy = CgoPolicy::Enabled;
  spec.flags = {"-race", "-buildmode=c-shared"};
  EXPECT_TRUE(validate(spec).empty());
}

TEST(Validate, ModFlagIsFineInAWorkspaceWithoutModules) {
  Spec spec = good();
  spec.workspace.go_work = {GoWorkMode::Path, "/src/go.work"};
  spec.variables = {{"GO111MODULE", "off"}};
  spec.flags = {"-mod=mod"};
  EXPECT_TRUE(validate(spec).empty());
}

TEST(Validate, VendoredWorkspacesAreFineWhereGoMayKnowThem) {
  Spec spec = good();
  spec.workspace.go_work = {GoWorkMode::Path, "/src/go.work"};
  spec.flags = {"-mod=vendor"};
  spec.toolchain.version = "1.22.0";
  EXPECT_TRUE(validate(spec).empty());
  spec.toolchain.version = "1.21.6";
  EXPECT_FALSE(validate(spec).empty());
  spec.toolchain.switching = Switching::AllowNewer;
  EXPECT_TRUE(validate(spec).empty()) << "the project may ask for a newer one";
}

TEST(Validate, ValuesAreShownShortAndClean) {
  Spec spec = good();
  spec.flags = {"-no" + std::string(500, 'x') + "\n"};
  const auto errors = validate(spec);
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_LE(errors[0].value.size(), 70U);
}

TEST(ValidateName, LengthAndSyntax) {
  EXPECT_TRUE(validate_name("ci").empty());
  EXPECT_TRUE(validate_name(std::string(52, 'a')).empty());
  EXPECT_THAT(validate_name(std::string(53, 'a')).at(0).message, HasSubstr("at most 52"));
  EXPECT_THAT(validate_name("CI").at(0).message, HasSubstr("is not a name"));
  EXPECT_FALSE(validate_name("").empty());
}

TEST(Advise, SaysWhatIsProbablyNotMeant) {
  struct AdviceCase {
    std::function<void(Spec&)> change;
    const char* text;
  };
  const AdviceCase cases[] = {
      {[](Spec& s) { s.toolchain.version = "1.23rc1"; }, "pre-release"},
      {[](Spec& s) {
         s.toolchain.delivery = Delivery::Download;
         s.toolchain.sums = {{"linux", "amd64", kSum}};
       },
       "sums has no effect"},
      {[](Spec& s) {
         s.toolchain.delivery = Delivery::Download;
         s.injection.launcher_paths.emplace();
       },
       "launcherPaths has no effect"},
      {[](Spec& s) { s.cgo.cc = "gcc"; }, "no effect while policy is Disabled"},
      {[](Spec& s) {
         s.cgo.policy = CgoPolicy::Enabled;
         s.platforms = {{"darwin", "arm64"}};
       },
       "cross compiler"},
      {[](Spec& s) {
         s.variables = {{"CGO_LDFLAGS_ALLOW", ".*"}};
       },
       "every dependency"},
      {[](Spec& s) {
         s.flags = {"-mod=mod", "-mod=vendor"};
       },
       "-mod is there twice"},
      {[](Spec& s) {
         s.platforms = {{"darwn", "arm64"}};
       },
       "darwn/arm64"},
      {[](Spec& s) {
         s.workspace.go_bin = "/b";
         s.platforms = {{"linux", "arm64"}};
       },
       "goBin"},
      {[](Spec& s) { s.modules.sum_db = "off"; }, "nothing verifies"},
      {[](Spec& s) {
         s.modules.proxies = {{"http://h", {}}};
       },
       "plain http"},
      {[](Spec& s) { s.modules.private_patterns = {"*"}; }, "ever asked"},
      {[](Spec& s) {
         s.variables = {{"GO111MODULE", "off"}};
       },
       "ignored"},
      {[](Spec& s) {
         s.variables = {{"GOEXPERIMENT", "nosuch"}};
       },
       "spec.variables.GOEXPERIMENT: a name that the toolchain does not know"},
      {[](Spec& s) {
         s.variables = {{"GOFIPS140", "v1.9.9"}};
       },
       "spec.variables.GOFIPS140: a version that the toolchain does not hold"},
      {[](Spec& s) { s.conda.environment = "x"; }, "environmentExists"},
      {[](Spec& s) {
         s.cache.build = CacheScope::Namespace;
         s.cache.trusted_service_accounts = {"release"};
       },
       "until the node agent serves this node, caches are private to the pod"},
      {[](Spec& s) {
         s.toolchain.delivery = Delivery::Download;
         s.injection.preflight = Preflight::Require;
       },
       "spec.injection.preflight Require has no effect with delivery Download"},
      {[](Spec& s) {
         s.toolchain.delivery = Delivery::Download;
         s.cgo.policy = CgoPolicy::Enabled;
       },
       "spec.cgo.cc: with delivery Download"},
      {[](Spec& s) {
         s.toolchain.delivery = Delivery::Download;
         s.cgo.policy = CgoPolicy::Auto;
       },
       "spec.cgo.cc: with delivery Download"},
      {[](Spec& s) { s.injection.pod_selector.emplace(); }, "every pod"},
  };
  EXPECT_TRUE(advise(good()).empty());
  for (const auto& c : cases) {
    Spec spec = good();
    c.change(spec);
    const auto advice = advise(spec);
    ASSERT_EQ(advice.size(), 1U) << c.text;
    EXPECT_THAT(advice[0], HasSubstr(c.text));
    EXPECT_LE(advice[0].size(), 120U);
  }
  Spec named = good();
  named.toolchain.delivery = Delivery::Download;
  named.cgo.policy = CgoPolicy::Enabled;
  named.cgo.cc = "gcc";
  EXPECT_TRUE(advise(named).empty());
  Spec untrusted = good();
  untrusted.cache.modules = CacheScope::Environment;
  EXPECT_THAT(advise(untrusted), Contains(HasSubstr("trustedServiceAccounts")));
}

}  // namespace
}  // namespace gobuildenv::goenv
