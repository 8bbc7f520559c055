#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.hpp"

/// What injection makes of a pod: variables, mounts, volumes, image, annotations.
namespace gobuildenv::webhooks::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

struct Injected {
  Json pod;
  Json main;
  AdmissionResponse response;
  Json skipped;
};

Injected inject(const Json& pod, const goenv::PodPlan& plan, bool csi = false) {
  FakeLookup lookup;
  lookup.csi = csi ? CsiDriver::Registered : CsiDriver::Absent;
  lookup.serve("build", plan);
  Injected result;
  result.response = decide_pod(pod, lookup);
  EXPECT_TRUE(result.response.allowed);
  result.pod = patched(pod, result.response);
  result.main = container_of(result.pod, "main");
  const Json annotations = result.pod["metadata"].value("annotations", Json::object());
  result.skipped = Json::parse(annotations.value("gobuildenv.dev/skipped", "{}"));
  EXPECT_EQ(decide_pod(result.pod, lookup).patch, "") << "a second review must change nothing";
  return result;
}

goenv::PodPlan volume_plan() {
  goenv::PodPlan plan = small_plan();
  plan.delivery = goenv::Delivery::Volume;
  plan.toolchain_path = "/opt/gobuildenv/toolchain";
  plan.caches[0].scope = goenv::CacheScope::Environment;
  return plan;
}

Json pod_with(const char* field, const Json& value) {
  Json pod = small_pod();
  pod["spec"]["containers"][0][field] = value;
  return pod;
}

std::vector<std::string> ops(const AdmissionResponse& response) {
  std::vector<std::string> result;
  for (const Json& op : Json::parse(response.patch)) {
    result.push_back(op["op"].get<std::string>() + " " + op["path"].get<std::string>());
  }
  return result;
}

TEST(Patch, AddsWholeListsWhereThereAreNone) {
  const Injected result = inject(small_pod(), small_plan());
  EXPECT_THAT(ops(result.response), ElementsAre("add /spec/volumes", "add /spec/containers/0/env",
                                                "add /spec/containers/0/volumeMounts",
                                                "add /metadata/labels/gobuildenv.dev~1revision",
                                                "add /metadata/annotations"));
}

TEST(Patch, AddsItemsWhereThereIsAList) {
  Json pod = pod_with("env", {{{"name", "A"}, {"value", "1"}}});
  pod["spec"]["volumes"] = Json::array();
  pod["metadata"]["annotations"] = {{"a", "b"}};
  const Injected result = inject(pod, small_plan());
  EXPECT_THAT(ops(result.response), Contains("add /spec/volumes/-").Times(3));
  EXPECT_THAT(ops(result.response), Contains("add /spec/containers/0/env/-").Times(5));
  EXPECT_EQ(result.main["env"][0]["name"], "A");
  EXPECT_EQ(result.pod["metadata"]["annotations"]["a"], "b");
}

TEST(Patch, TakesNullForAbsent) {
  Json pod = pod_with("env", nullptr);
  pod["spec"]["volumes"] = nullptr;
  pod["metadata"]["annotations"] = nullptr;
  EXPECT_EQ(env_of(inject(pod, small_plan()).main, "CGO_ENABLED")["value"], "0");
}

TEST(Patch, LeavesUnknownFieldsAndCommandsAlone) {
  Json pod = pod_with("futureField", {{"deep", {1, 2, nullptr}}});
  pod["spec"]["alsoNew"] = 1.5;
  const Injected result = inject(pod, small_plan());
  EXPECT_EQ(result.main["futureField"], pod["spec"]["containers"][0]["futureField"]);
  EXPECT_EQ(result.main["command"], Json::parse(R"(["go","build"])"));
  EXPECT_EQ(result.pod["spec"]["alsoNew"], 1.5);
}

TEST(Metadata, SaysWhatWasDone) {
  Json pod = small_pod();
  pod["spec"]["initContainers"] = {{{"name", "init"}, {"image", "x"}}};
  const Injected result = inject(pod, small_plan());
  const Json annotations = result.pod["metadata"]["annotations"];
  EXPECT_EQ(result.pod["metadata"]["labels"]["gobuildenv.dev/revision"], "0123456789");
  EXPECT_EQ(annotations["gobuildenv.dev/environment"], "build");
  EXPECT_EQ(annotations["gobuildenv.dev/revision"], "0123456789");
  EXPECT_EQ(annotations["gobuildenv.dev/containers"], "main");
  EXPECT_EQ(result.skipped["init"], "init container not in containers.include");
}

TEST(Env, PreferLeavesTheContainersOwn) {
  const Json pod =
      pod_with("env", {{{"name", "GOFLAGS"}, {"value", "-mod=vendor"}},
                       {{"name", "CGO_ENABLED"},
                        {"valueFrom", {{"configMapKeyRef", {{"name", "c"}, {"key", "k"}}}}}}});
  const Injected result = inject(pod, small_plan());
  EXPECT_EQ(env_of(result.main, "GOFLAGS")["value"], "-mod=vendor") << "never concatenated";
  EXPECT_EQ(result.main["env"][1], pod["spec"]["containers"][0]["env"][1]);
  EXPECT_EQ(env_of(result.main, "GOBUILDENV_KEEP")["value"], "CGO_ENABLED,GOFLAGS");
  EXPECT_THAT(result.response.warnings,
              ElementsAre("container main keeps its own CGO_ENABLED,GOFLAGS (enforcement Prefer)"));
}

TEST(Env, EnforceReplacesAtTheEntrysPlace) {
  goenv::PodPlan plan = small_plan();
  plan.enforcement = goenv::Enforcement::Enforce;
  const Json pod = pod_with(
      "env", {{{"name", "A"}, {"value", "1"}},
              {{"name", "CGO_ENABLED"}, {"valueFrom", {{"fieldRef", {{"fieldPath", "x"}}}}}},
              {{"name", "GOBUILDENV_KEEP"}, {"value", "GOFLAGS"}},
              {{"name", "GOFLAGS"}, {"value", "-x"}},
              {{"name", "GOFLAGS"}, {"value", "-y"}}});
  const Injected result = inject(pod, plan);
  EXPECT_EQ(result.main["env"][1], Json::parse(R"({"name":"CGO_ENABLED","value":"0"})"));
  EXPECT_EQ(result.main["env"][2]["value"], "") << "nothing is kept under Enforce";
  EXPECT_EQ(result.main["env"][3]["value"], "-trimpath '-ldflags=-s -w'");
  EXPECT_EQ(result.main["env"][4]["value"], "-trimpath '-ldflags=-s -w'");
  EXPECT_THAT(result.response.warnings, Contains(HasSubstr("CGO_ENABLED,GOFLAGS replaced")));
}

TEST(Env, EqualValuesAreNoConflict) {
  const Injected result =
      inject(pod_with("env", {{{"name", "CGO_ENABLED"}, {"value", "0"}}}), small_plan());
  EXPECT_THAT(result.response.warnings, IsEmpty());
  EXPECT_TRUE(env_of(result.main, "GOBUILDENV_KEEP").is_null());
}

TEST(Env, WhatOnlyTheLauncherSetsIsKeptWhenTheContainerHasIt) {
  goenv::PodPlan plan = volume_plan();
  plan.launcher_env = {{"CC", "gcc"}, {"NETRC", "/n"}};
  const Injected result =
      inject(pod_with("env", {{{"name", "CC"}, {"value", "clang"}}}), plan, true);
  EXPECT_EQ(env_of(result.main, "GOBUILDENV_KEEP")["value"], "CC");
  EXPECT_EQ(env_of(result.main, "CC")["value"], "clang");
  EXPECT_TRUE(env_of(result.main, "NETRC").is_null());
}

TEST(Env, WithoutALauncherTheContainerGetsWhatItWouldSet) {
  goenv::PodPlan plan = volume_plan();
  plan.launcher_env = {{"CC", "gcc"}, {"NETRC", "/n"}};
  Json pod = pod_with("env", {{{"name", "CC"}, {"value", "clang"}}});
  const Injected no_agent = inject(pod, plan, false);
  EXPECT_EQ(env_of(no_agent.main, "NETRC")["value"], "/n");
  EXPECT_EQ(env_of(no_agent.main, "CC")["value"], "clang") << "Prefer";
  EXPECT_EQ(env_of(no_agent.main, "GOBUILDENV_KEEP")["value"], "CC");

  // Or where the container's own volumes cover every place of the launcher.
  pod["spec"]["volumes"] = {{{"name", "w"}, {"emptyDir", Json::object()}}};
  pod["spec"]["containers"][0]["volumeMounts"] = {{{"name", "w"}, {"mountPath", "/opt/conda"}},
                                                  {{"name", "w"}, {"mountPath", "/usr/local"}}};
  EXPECT_EQ(env_of(inject(pod, plan, true).main, "NETRC")["value"], "/n");

  plan.enforcement = goenv::Enforcement::Enforce;
  EXPECT_EQ(env_of(inject(pod, plan, false).main, "CC")["value"], "gcc");

  plan.launcher_env = {{"NETRC", std::nullopt}};
  EXPECT_TRUE(env_of(inject(pod, plan, false).main, "NETRC").is_null()) << "renderer 1";
}

TEST(Env, EnvFromIsNoted) {
  const Injected result =
      inject(pod_with("envFrom", {{{"configMapRef", {{"name", "c"}}}}}), small_plan());
  EXPECT_THAT(result.response.warnings, Contains(HasSubstr("envFrom")));
}

TEST(Containers, IncludeExcludeAndKinds) {
  struct Case {
    std::vector<std::string> include;
    std::vector<std::string> exclude;
    std::vector<std::string> changed;
  };
  Json pod = small_pod();
  pod["spec"]["containers"].push_back({{"name", "side"}, {"image", "x"}});
  pod["spec"]["containers"].push_back({{"name", "istio-proxy"}, {"image", "x"}});
  pod["spec"]["initContainers"] = {
      {{"name", "fetch"}, {"image", "x"}},
      {{"name", "proxy"}, {"image", "x"}, {"restartPolicy", "Always"}}};
  const Case cases[] = {
      {{}, {}, {"main", "side"}},
      {{}, {"s*"}, {"main"}},
      {{"main"}, {}, {"main"}},
      {{"*"}, {}, {"fetch", "proxy", "main", "side"}},
      {{"*"}, {"main", "proxy"}, {"fetch", "side"}},
      {{"fe*", "ma*n"}, {}, {"fetch", "main"}},
      {{"istio-proxy"}, {}, {"istio-proxy"}},
  };
  for (const Case& c : cases) {
    goenv::PodPlan plan = small_plan();
    plan.include = c.include;
    plan.exclude = c.exclude;
    const Injected result = inject(pod, plan);
    std::vector<std::string> changed;
    for (const char* list : {"initContainers", "containers"}) {
      for (const Json& container : result.pod["spec"][list]) {
        if (!env_of(container, "GOENV").is_null()) changed.push_back(container["name"]);
      }
    }
    EXPECT_EQ(changed, c.changed);
  }
}

struct System {
  const char* label;
  const char* value;
  std::vector<std::string> include;
  std::vector<std::string> changed;
  std::vector<std::string> left;
};

TEST(Containers, OfCiSystems) {
  const System systems[] = {
      {"workflows.argoproj.io/workflow",
       "w",
       {},
       {"main", "user"},
       {"wait", "supervisor", "artifact-plugin-s3"}},
      {"tekton.dev/taskRun", "t", {}, {"step-a"}, {"sidecar-b", "other"}},
      {"tekton.dev/taskRun", "t", {"*"}, {"step-a", "other"}, {"sidecar-b", "prepare"}},
      {"actions-ephemeral-runner", "True", {}, {"runner"}, {"dind", "extra"}},
      {"runner-pod", "r", {}, {"job"}, {"postgres"}},
      {"job.runner.gitlab.com/pod", "p", {}, {"build"}, {"helper", "svc-0"}},
      {"jenkins/label", "j", {}, {"maven"}, {"jnlp"}},
      {"jenkins/label", "j", {"*"}, {"maven"}, {"jnlp"}},
      {"kubernetes.jenkins.io/controller", "c", {"jnlp"}, {"jnlp"}, {"maven"}},
      // Helpers are left even when an environment includes every container.
      {"workflows.argoproj.io/workflow",
       "w",
       {"*"},
       {"main"},
       {"init", "init-artifact-s3", "wait"}},
      {"actions-ephemeral-runner", "True", {"*"}, {"runner"}, {"dind", "init-dind-externals"}},
      {"runner-pod", "r", {"*"}, {"job"}, {"fs-init"}},
      {"job.runner.gitlab.com/pod", "p", {"*"}, {"build"}, {"helper", "init-permissions", "svc-0"}},
      {"jenkins/label", "j", {"*"}, {"maven"}, {"set-up-jenkins-agent"}},
      {"tekton.dev/taskRun", "t", {"*"}, {"step-a"}, {"place-scripts", "working-dir-initializer"}},
      {"buildkite.com/job-uuid", "u", {"*"}, {"container-0"}, {"copy-agent", "agent", "checkout"}},
      {"buildkite.com/job-uuid", "u", {}, {"container-0"}, {"agent", "checkout", "imagecheck-0"}},
  };
  for (const System& system : systems) {
    SCOPED_TRACE(system.label);
    Json pod = small_pod();
    pod["metadata"]["labels"][system.label] = system.value;
    pod["spec"]["containers"] = Json::array();
    for (const auto* names : {&system.changed, &system.left}) {
      for (const std::string& name : *names) {
        pod["spec"]["containers"].push_back({{"name", name}, {"image", "x"}});
      }
    }
    goenv::PodPlan plan = small_plan();
    plan.include = system.include;
    const Injected result = inject(pod, plan);
    for (const std::string& name : system.changed) {
      EXPECT_FALSE(env_of(container_of(result.pod, name), "GOENV").is_null()) << name;
    }
    for (const std::string& name : system.left) {
      EXPECT_EQ(container_of(result.pod, name), container_of(pod, name));
      EXPECT_TRUE(result.skipped.contains(name)) << name;
    }
  }
}

TEST(Containers, EphemeralOnesAreLeftAlone) {
  Json pod = small_pod();
  pod["spec"]["ephemeralContainers"] = {{{"name", "debug"}, {"image", "x"}}};
  EXPECT_EQ(inject(pod, small_plan()).pod["spec"]["ephemeralContainers"],
            pod["spec"]["ephemeralContainers"]);
}

Json volume_of(const Json& pod, const std::string& name) {
  for (const Json& volume : pod["spec"]["volumes"]) {
    if (volume["name"] == name) return volume;
  }
  return nullptr;
}

TEST(Volumes, OfTheNodeAgent) {
  const Injected result = inject(small_pod(), volume_plan(), true);
  const Json toolchain = volume_of(result.pod, "gobuildenv-toolchain")["csi"];
  EXPECT_EQ(toolchain["driver"], "gobuildenv.dev");
  EXPECT_EQ(toolchain["readOnly"], true);
  EXPECT_EQ(toolchain["volumeAttributes"]["toolchain"], "1.22.3");
  const Json modules = volume_of(result.pod, "gobuildenv-modcache")["csi"];
  EXPECT_EQ(modules["volumeAttributes"]["scope"], "Environment");
  EXPECT_FALSE(modules.contains("readOnly"));
  EXPECT_EQ(volume_of(result.pod, "gobuildenv-buildcache")["emptyDir"], Json::object());
  EXPECT_EQ(mount_at(result.main, "/opt/conda/bin/go")["subPath"], "go");
  EXPECT_FALSE(mount_at(result.main, "/opt/gobuildenv/toolchain").is_null());
}

TEST(Volumes, NoCacheIsSharedWithAPodInAUserNamespace) {
  Json pod = small_pod();
  pod["spec"]["hostUsers"] = false;
  const Injected result = inject(pod, volume_plan(), true);
  EXPECT_EQ(volume_of(result.pod, "gobuildenv-modcache")["emptyDir"], Json::object());
  EXPECT_TRUE(volume_of(result.pod, "gobuildenv-toolchain").contains("csi"));
  EXPECT_THAT(result.response.warnings, ElementsAre(HasSubstr("caches of its own")));
  EXPECT_EQ(result.skipped["main"],
            "/var/cache/gobuildenv/mod: not shared, the pod has hostUsers: false");

  pod["spec"]["securityContext"]["fsGroup"] = 2000;
  EXPECT_TRUE(
      volume_of(inject(pod, volume_plan(), true).pod, "gobuildenv-modcache").contains("emptyDir"));
}

TEST(Volumes, AUserNamespaceMattersToSharedCachesOnly) {
  for (const Json& host : {Json(true), Json(nullptr), Json("false")}) {
    Json pod = small_pod();
    pod["spec"]["hostUsers"] = host;
    const Injected result = inject(pod, volume_plan(), true);
    EXPECT_TRUE(volume_of(result.pod, "gobuildenv-modcache").contains("csi")) << host;
    EXPECT_THAT(result.response.warnings, IsEmpty());
  }
  Json pod = small_pod();
  pod["spec"]["hostUsers"] = false;
  goenv::PodPlan own = volume_plan();
  own.caches[0].scope = goenv::CacheScope::Pod;
  EXPECT_THAT(inject(pod, own, true).response.warnings, IsEmpty());
  // Nothing is shared without the node agent, whatever the pod is.
  own.caches[0].scope = goenv::CacheScope::Environment;
  own.delivery = goenv::Delivery::Download;
  EXPECT_THAT(inject(pod, own, false).response.warnings, IsEmpty());
  // Nor is what the container brings itself.
  pod["spec"]["volumes"] = {{{"name", "own"}, {"emptyDir", Json::object()}}};
  pod["spec"]["containers"][0]["volumeMounts"] = {
      {{"name", "own"}, {"mountPath", "/var/cache/gobuildenv/mod"}}};
  EXPECT_THAT(inject(pod, volume_plan(), true).response.warnings, IsEmpty());
}

TEST(Volumes, WithoutTheNodeAgentNothingHidesTheImagesGo) {
  const Injected result = inject(small_pod(), volume_plan(), false);
  EXPECT_TRUE(volume_of(result.pod, "gobuildenv-toolchain").is_null());
  EXPECT_TRUE(mount_at(result.main, "/opt/conda/bin/go").is_null());
  EXPECT_FALSE(
      mount_at(result.main, "/opt/conda/etc/conda/activate.d/zzz-gobuildenv.sh").is_null());
  EXPECT_TRUE(volume_of(result.pod, "gobuildenv-modcache").contains("emptyDir"));
  EXPECT_THAT(result.response.warnings, Contains(HasSubstr("no CSI driver gobuildenv.dev")));
  EXPECT_THAT(result.skipped["main"].get<std::string>(), HasSubstr("toolchain"));
}

TEST(Volumes, FilesAreExecutableAndBoundToTheRevision) {
  const Json files = volume_of(inject(small_pod(), small_plan()).pod, "gobuildenv-files");
  EXPECT_EQ(files["configMap"]["name"], "build-0123456789");
  EXPECT_EQ(files["configMap"]["defaultMode"], 0555);
}

TEST(Volumes, CredentialsAndCaAreReadableByThePodsProcesses) {
  goenv::PodPlan plan = small_plan();
  plan.credentials_secret = "netrc-secret";
  plan.credentials_path = "/etc/gobuildenv-netrc";
  plan.ca_config_map = "company-ca";
  plan.ca_key = "ca.crt";
  plan.ca_path = "/etc/gobuildenv-ca";
  Json pod = small_pod();
  const Injected any_user = inject(pod, plan);
  EXPECT_EQ(volume_of(any_user.pod, "gobuildenv-netrc")["projected"]["defaultMode"], 0444);
  EXPECT_EQ(mount_at(any_user.main, "/etc/gobuildenv-netrc")["readOnly"], true);
  EXPECT_EQ(volume_of(any_user.pod, "gobuildenv-ca")["configMap"]["items"][0]["key"], "ca.crt");
  pod["spec"]["securityContext"] = {{"fsGroup", 1000}};
  EXPECT_EQ(volume_of(inject(pod, plan).pod, "gobuildenv-netrc")["projected"]["defaultMode"], 0440);
}

struct MountCase {
  const char* name;
  const char* own_path;
  bool read_only;
  const char* skipped;  ///< part of the recorded reason; nullptr: nothing is left out
  bool changed;
};

TEST(Mounts, BesideTheContainersOwn) {
  const MountCase cases[] = {
      {"elsewhere", "/workspace", false, nullptr, true},
      {"over the image's Go", "/usr/local/go", false, "under own mount /usr/local/go", true},
      {"the same in other words", "//usr/./local/go/", false, "under own mount /usr/local/go",
       true},
      {"at a launcher's path", "/opt/conda/bin/go", false, "own mount at /opt/conda/bin/go", true},
      {"below a launcher's path", "/opt/conda/bin/go/x", false, "needs a directory", true},
      {"own cache", "/var/cache/gobuildenv/mod", false, "own mount at /var/cache", true},
      {"writable above a cache", "/var/cache", false, nullptr, true},
      {"read-only above a cache", "/var/cache", true, "under the read-only mount", false},
      {"at our files", "/etc/gobuildenv", false, "own mount at /etc/gobuildenv", false},
      {"below our files", "/etc/gobuildenv/own", false, "is under /etc/gobuildenv", false},
      {"the root", "/", true, "under the read-only mount /", false},
  };
  for (const MountCase& c : cases) {
    SCOPED_TRACE(c.name);
    Json pod = pod_with("volumeMounts", {{{"name", "own"}, {"mountPath", c.own_path}}});
    if (c.read_only) pod["spec"]["containers"][0]["volumeMounts"][0]["readOnly"] = true;
    pod["spec"]["volumes"] = {{{"name", "own"}, {"emptyDir", Json::object()}}};
    const Injected result = inject(pod, volume_plan(), true);
    EXPECT_EQ(!env_of(result.main, "GOENV").is_null(), c.changed);
    const std::string reason = result.skipped.value("main", "");
    if (c.skipped == nullptr) {
      EXPECT_EQ(reason, "");
    } else {
      EXPECT_THAT(reason, HasSubstr(c.skipped));
    }
    EXPECT_EQ(result.main["volumeMounts"][0], pod["spec"]["containers"][0]["volumeMounts"][0]);
  }
}

TEST(Mounts, VolumesThatAreAlwaysReadOnlyCountAsSuch) {
  Json pod = pod_with("volumeMounts", {{{"name", "own"}, {"mountPath", "/etc"}}});
  const Json read_only[] = {
      {{"configMap", {{"name", "c"}}}},
      {{"persistentVolumeClaim", {{"claimName", "c"}, {"readOnly", true}}}},
      {{"csi", {{"driver", "disks.example"}, {"readOnly", true}}}},
      {{"nfs", {{"server", "s"}, {"path", "/"}, {"readOnly", true}}}},
  };
  for (Json volume : read_only) {
    SCOPED_TRACE(volume.dump());
    volume["name"] = "own";
    pod["spec"]["volumes"] = Json::array({volume});
    const Injected result = inject(pod, small_plan());
    EXPECT_EQ(result.skipped["main"], "/etc/gobuildenv is under the read-only mount /etc");
    EXPECT_FALSE(result.pod["metadata"]["labels"].contains("gobuildenv.dev/revision"));
  }
  const Json writable[] = {
      {{"emptyDir", Json::object()}},
      {{"persistentVolumeClaim", {{"claimName", "c"}, {"readOnly", false}}}},
      {{"hostPath", {{"path", "/etc"}}}},
  };
  for (Json volume : writable) {
    SCOPED_TRACE(volume.dump());
    volume["name"] = "own";
    pod["spec"]["volumes"] = Json::array({volume});
    EXPECT_TRUE(inject(pod, small_plan()).skipped.empty());
  }
}

TEST(Mounts, NoFileLiesWithinOurOwnMounts) {
  for (const char* path :
       {"/opt/gobuildenv/toolchain/bin/go", "/etc/gobuildenv/go", "/var/cache/gobuildenv/mod/go"}) {
    goenv::PodPlan plan = volume_plan();
    plan.files = {{"go", path}, {"go", "/usr/local/bin/go"}};
    const Injected result = inject(small_pod(), plan, true);
    EXPECT_TRUE(mount_at(result.main, path).is_null()) << path;
    EXPECT_FALSE(mount_at(result.main, "/usr/local/bin/go").is_null());
  }
}

TEST(Mounts, OnePathTwiceInThePlanIsMountedOnce) {
  goenv::PodPlan plan = volume_plan();
  plan.files = {{"go", "/usr/local/bin/go"}, {"go", "/usr/local/bin//go"}};
  const Injected result = inject(small_pod(), plan, true);
  int count = 0;
  for (const Json& mount : result.main["volumeMounts"]) {
    count += mount["mountPath"] == "/usr/local/bin/go" ? 1 : 0;
  }
  EXPECT_EQ(count, 1);
}

TEST(Image, PlaceholderIsReplacedWithItsPullPolicy) {
  struct Case {
    const char* image;
    const char* policy;  ///< nullptr: absent
    const char* expected;
  };
  const Case cases[] = {
      {"registry.example/conda:24", "IfNotPresent", "IfNotPresent"},
      {"registry.example/conda:latest", "IfNotPresent", "Always"},
      {"registry.example:5000/conda", "IfNotPresent", "Always"},
      {"registry.example/conda@sha256:abc", "IfNotPresent", "IfNotPresent"},
      {"registry.example/conda:latest", "Never", "Never"},
      {"registry.example/conda:latest", nullptr, nullptr},
  };
  for (const Case& c : cases) {
    goenv::PodPlan plan = small_plan();
    plan.conda_base_image = c.image;
    Json pod = pod_with("image", "conda-base.gobuildenv.invalid/auto:1");
    if (c.policy != nullptr) pod["spec"]["containers"][0]["imagePullPolicy"] = c.policy;
    const Json main = inject(pod, plan).main;
    EXPECT_EQ(main["image"], c.image);
    EXPECT_EQ(main.value("imagePullPolicy", Json()), c.expected == nullptr ? Json() : c.expected);
  }
}

TEST(Image, OtherImagesStayAndAPlaceholderWithoutBaseIsWarnedOf) {
  goenv::PodPlan plan = small_plan();
  plan.conda_base_image = "registry.example/conda:24";
  EXPECT_EQ(inject(small_pod(), plan).main["image"], "conda:1");
  plan.conda_base_image.clear();
  EXPECT_THAT(
      inject(pod_with("image", "conda-base.gobuildenv.invalid/auto:1"), plan).response.warnings,
      Contains(HasSubstr("sets no conda.baseImage")));
}

TEST(Image, PlaceholderOfASkippedInitContainerIsReplacedToo) {
  goenv::PodPlan plan = small_plan();
  plan.conda_base_image = "registry.example/conda:24";
  Json pod = small_pod();
  pod["spec"]["initContainers"] = {
      {{"name", "setup"}, {"image", "conda-base.gobuildenv.invalid/auto:1"}}};
  const Json setup = container_of(inject(pod, plan).pod, "setup");
  EXPECT_EQ(setup["image"], "registry.example/conda:24");
  EXPECT_FALSE(setup.contains("env"));
}

/// A pod manifest copied from a running pod, or reviewed again after a rollout.
TEST(Reinvocation, MovesToTheRevisionThatServesNow) {
  FakeLookup lookup;
  lookup.serve("build", small_plan());
  Json pod = pod_with("env", {{{"name", "GOFLAGS"}, {"value", "-mod=vendor"}}});
  const Json before = patched(pod, decide_pod(pod, lookup));
  goenv::PodPlan next = small_plan();
  next.env[2].value = "go1.23.0";
  next.env[4].value = "-v";
  lookup.serve("build", next, "abcdefabcd");
  const AdmissionResponse response = decide_pod(before, lookup);
  const Json after = patched(before, response);
  const Json main = container_of(after, "main");
  EXPECT_EQ(env_of(main, "GOTOOLCHAIN")["value"], "go1.23.0");
  EXPECT_EQ(env_of(main, "GOFLAGS")["value"], "-mod=vendor") << "still the container's own";
  EXPECT_EQ(volume_of(after, "gobuildenv-files")["configMap"]["name"], "build-abcdefabcd");
  EXPECT_EQ(after["metadata"]["labels"]["gobuildenv.dev/revision"], "abcdefabcd");
  EXPECT_THAT(ops(response), Not(Contains(StartsWith("add /spec"))));
  EXPECT_EQ(decide_pod(after, lookup).patch, "");
}

TEST(Reinvocation, ServesAContainerThatAnotherWebhookAdded) {
  FakeLookup lookup;
  lookup.serve("build", small_plan());
  Json pod = patched(small_pod(), decide_pod(small_pod(), lookup));
  pod["spec"]["containers"].push_back({{"name", "late"}, {"image", "x"}});
  const Json main = container_of(pod, "main");
  const Json after = patched(pod, decide_pod(pod, lookup));
  EXPECT_FALSE(env_of(container_of(after, "late"), "GOENV").is_null());
  EXPECT_EQ(container_of(after, "main"), main);
  EXPECT_EQ(after["metadata"]["annotations"]["gobuildenv.dev/containers"], "main,late");
}

TEST(Reinvocation, FollowsAPolicyThatSetsHostUsers) {
  FakeLookup lookup;
  lookup.csi = CsiDriver::Registered;
  lookup.serve("build", volume_plan());
  Json pod = patched(small_pod(), decide_pod(small_pod(), lookup));
  ASSERT_TRUE(volume_of(pod, "gobuildenv-modcache").contains("csi"));
  pod["spec"]["hostUsers"] = false;
  pod = patched(pod, decide_pod(pod, lookup));
  EXPECT_EQ(volume_of(pod, "gobuildenv-modcache"),
            (Json{{"name", "gobuildenv-modcache"}, {"emptyDir", Json::object()}}));
}

TEST(Reinvocation, LeavesDefaultsThatWereAddedMeanwhile) {
  FakeLookup lookup;
  lookup.serve("build", small_plan());
  Json pod = patched(small_pod(), decide_pod(small_pod(), lookup));
  for (Json& volume : pod["spec"]["volumes"]) {
    if (volume.contains("emptyDir")) volume["emptyDir"]["sizeLimit"] = "10Gi";
  }
  EXPECT_EQ(decide_pod(pod, lookup).patch, "");
}

}  // namespace
}  // namespace gobuildenv::webhooks::testing
