#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "support.hpp"

/// Random pods: whatever they look like, the patch applies, touches nothing but what it says, makes
/// no duplicate, and a second review has nothing to add.
namespace gobuildenv::webhooks::testing {
namespace {

using rc::gen::element;

/// Names and paths from small sets, so that they meet those of the plan and each other.
Json random_env() {
  Json env = Json::array();
  const int count = *rc::gen::inRange(0, 5);
  for (int i = 0; i < count; ++i) {
    Json entry;
    entry["name"] = *element<std::string>("A", "GOFLAGS", "GOENV", "CC", "GOBUILDENV_KEEP",
                                          "CGO_ENABLED", "weird/~name");
    const int kind = *rc::gen::inRange(0, 4);
    if (kind == 0) entry["value"] = "";
    if (kind == 1) entry["value"] = *element<std::string>("0", "-mod=vendor", "\"q\" \\ $(X)", "é");
    if (kind == 2) entry["valueFrom"]["fieldRef"]["fieldPath"] = "metadata.name";
    env.push_back(entry);
  }
  return env;
}

Json random_mounts() {
  Json mounts = Json::array();
  std::set<std::string> paths;
  const int count = *rc::gen::inRange(0, 4);
  for (int i = 0; i < count; ++i) {
    Json mount;
    mount["name"] = *element<std::string>("own", "ro");
    const std::string path = *element<std::string>(
        "/w", "/usr/local/go", "/opt/conda", "/etc/gobuildenv", "/var/cache/", "/etc//gobuildenv/x",
        "/opt/conda/bin/go", "/var/cache/gobuildenv/mod", "/");
    if (!paths.insert(path).second) continue;
    mount["mountPath"] = path;
    if (*rc::gen::inRange(0, 3) == 0) mount["readOnly"] = true;
    mounts.push_back(mount);
  }
  return mounts;
}

Json random_container(const std::string& name) {
  Json container;
  container["name"] = name;
  container["image"] = *element<std::string>("x:1", "conda-base.gobuildenv.invalid/auto:1");
  container["command"] = {"make"};
  if (*rc::gen::inRange(0, 2) == 0) container["imagePullPolicy"] = "IfNotPresent";
  if (*rc::gen::inRange(0, 3) != 0) container["env"] = random_env();
  if (*rc::gen::inRange(0, 3) != 0) container["volumeMounts"] = random_mounts();
  if (*rc::gen::inRange(0, 5) == 0) container["envFrom"] = {{{"prefix", "X"}}};
  return container;
}

Json random_pod() {
  Json pod = small_pod();
  if (*rc::gen::inRange(0, 3) == 0) pod["metadata"]["annotations"] = {{"a/b", "~1"}};
  if (*rc::gen::inRange(0, 3) == 0) {
    pod["metadata"]["labels"][*element<std::string>("tekton.dev/taskRun", "jenkins/label",
                                                    "workflows.argoproj.io/workflow")] = "x";
  }
  pod["spec"]["volumes"] = {{{"name", "own"}, {"emptyDir", Json::object()}},
                            {{"name", "ro"}, {"configMap", {{"name", "c"}}}}};
  if (*rc::gen::inRange(0, 3) == 0) pod["spec"]["securityContext"] = {{"fsGroup", 1000}};
  if (*rc::gen::inRange(0, 3) == 0) pod["spec"]["hostUsers"] = false;
  pod["spec"]["containers"] = Json::array();
  const std::vector<std::string> names{"main", "step-build", "sidecar-x", "jnlp", "wait"};
  for (const std::string& name : names) {
    if (*rc::gen::inRange(0, 2) == 0) pod["spec"]["containers"].push_back(random_container(name));
  }
  if (*rc::gen::inRange(0, 2) == 0) {
    pod["spec"]["initContainers"] = {random_container("init"), random_container("fetch")};
  }
  return pod;
}

goenv::PodPlan random_plan() {
  goenv::PodPlan plan = small_plan();
  if (*rc::gen::inRange(0, 2) == 0) plan.enforcement = goenv::Enforcement::Enforce;
  if (*rc::gen::inRange(0, 2) == 0) {
    plan.delivery = goenv::Delivery::Volume;
    plan.toolchain_path = "/opt/gobuildenv/toolchain";
    plan.launcher_env = {{"CC", "gcc"}};
    plan.caches[1].scope = goenv::CacheScope::Namespace;
  }
  if (*rc::gen::inRange(0, 2) == 0) plan.include = {"fetch", "main", "step-*"};
  if (*rc::gen::inRange(0, 3) == 0) plan.conda_base_image = "registry.example/conda:1";
  if (*rc::gen::inRange(0, 3) == 0) {
    plan.credentials_secret = "s";
    plan.credentials_path = "/etc/gobuildenv-credentials";
  }
  return plan;
}

std::multiset<std::string> values_of(const Json& container, const char* list, const char* key) {
  std::multiset<std::string> values;
  const Json items = container.value(list, Json::array());
  for (const Json& item : items) values.insert(item.value(key, ""));
  return values;
}

void check_container(const Json& before, const Json& after) {
  for (const auto& [key, value] : before.items()) {
    if (key == "env" || key == "volumeMounts" || key == "image" || key == "imagePullPolicy") {
      continue;
    }
    RC_ASSERT(after[key] == value);
  }
  if (after["image"] != before["image"]) {
    RC_ASSERT(before["image"] == "conda-base.gobuildenv.invalid/auto:1");
  }
  // Ours are at the end; what was there keeps its place.
  const Json old_mounts = before.value("volumeMounts", Json::array());
  for (std::size_t i = 0; i < old_mounts.size(); ++i) {
    RC_ASSERT(after["volumeMounts"][i] == old_mounts[i]);
  }
  const Json old_env = before.value("env", Json::array());
  for (std::size_t i = 0; i < old_env.size(); ++i) {
    RC_ASSERT(after["env"][i]["name"] == old_env[i]["name"]);
  }
  const auto old_names = values_of(before, "env", "name");
  const auto names = values_of(after, "env", "name");
  for (const std::string& name : names) {
    RC_ASSERT(names.count(name) == std::max<std::size_t>(1, old_names.count(name)));
  }
  const auto paths = values_of(after, "volumeMounts", "mountPath");
  for (const std::string& path : paths) RC_ASSERT(paths.count(path) == 1U);
}

RC_GTEST_PROP(Patch, HoldsForEveryPod, ()) {
  const Json pod = random_pod();
  FakeLookup lookup;
  lookup.csi = *rc::gen::inRange(0, 2) == 0 ? CsiDriver::Registered : CsiDriver::Absent;
  lookup.serve("build", random_plan());
  const AdmissionResponse response = decide_pod(pod, lookup);
  RC_ASSERT(response.allowed);
  RC_ASSERT(audit_of(response, "result") != "unreadable");
  for (const std::string& warning : response.warnings) RC_ASSERT(warning.size() <= 120U);
  const Json after = patched(pod, response);
  const Json skipped = Json::parse(
      after["metadata"].value("annotations", Json::object()).value("gobuildenv.dev/skipped", "{}"));

  std::set<std::string> volumes;
  for (const Json& volume : after["spec"]["volumes"]) {
    RC_ASSERT(volumes.insert(volume["name"]).second);
  }
  for (const char* list : {"initContainers", "containers"}) {
    const Json containers = pod["spec"].value(list, Json::array());
    for (std::size_t i = 0; i < containers.size(); ++i) {
      const Json& changed = after["spec"][list][i];
      check_container(containers[i], changed);
      for (const Json& mount : changed.value("volumeMounts", Json::array())) {
        RC_ASSERT(volumes.contains(mount["name"]));
      }
      const bool follows =
          changed.value("env", Json::array()) != containers[i].value("env", Json::array()) ||
          values_of(changed, "volumeMounts", "name").contains("gobuildenv-files");
      // Left alone means left alone, and the reason is on record.
      if (!follows) RC_ASSERT(skipped.contains(containers[i]["name"].get<std::string>()));
    }
  }
  RC_ASSERT(decide_pod(after, lookup).patch.empty());
}

}  // namespace
}  // namespace gobuildenv::webhooks::testing
