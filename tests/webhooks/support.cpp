#include "support.hpp"

#include <gtest/gtest.h>

#include "goenv/revision.hpp"

namespace gobuildenv::webhooks::testing {

void FakeLookup::serve(const std::string& name, const goenv::PodPlan& plan,
                       const std::string& revision) {
  auto environment = std::make_shared<ServedEnvironment>();
  environment->ns = "ci";
  environment->name = name;
  environment->revision = revision;
  environment->config_map = name + "-" + revision;
  environment->pod_json = std::make_shared<const std::string>(goenv::encode(plan));
  environments["ci/" + name] = {Found::Yes, std::move(environment)};
}

EnvironmentLookup::Answer FakeLookup::find(std::string_view ns, std::string_view name) const {
  const auto found = environments.find(std::string(ns) + "/" + std::string(name));
  return found == environments.end() ? Answer{Found::No, nullptr} : found->second;
}

EnvironmentLookup::Candidates FakeLookup::selecting(std::string_view, const Labels&) const {
  return selected;
}

NamespaceInjection FakeLookup::injection(std::string_view) const { return namespace_injection; }

CsiDriver FakeLookup::csi_driver() const { return csi; }

goenv::PodPlan small_plan() {
  goenv::PodPlan plan;
  plan.renderer = "1";
  plan.toolchain = "1.22.3";
  plan.delivery = goenv::Delivery::Download;
  plan.env = {{"GOENV", "/etc/gobuildenv/go.env"},
              {"GOROOT", ""},
              {"GOTOOLCHAIN", "go1.22.3"},
              {"CGO_ENABLED", "0"},
              {"GOFLAGS", "-trimpath '-ldflags=-s -w'"}};
  plan.files_path = "/etc/gobuildenv";
  plan.files = {{"go", "/opt/conda/bin/go"},
                {"go", "/usr/local/go/bin/go"},
                {"activate.sh", "/opt/conda/etc/conda/activate.d/zzz-gobuildenv.sh"}};
  plan.caches = {
      {"gobuildenv-modcache", "/var/cache/gobuildenv/mod", "modules", goenv::CacheScope::Pod},
      {"gobuildenv-buildcache", "/var/cache/gobuildenv/build", "build", goenv::CacheScope::Pod}};
  return plan;
}

goenv::PodPlan full_plan() {
  goenv::Spec spec;
  spec.toolchain.version = "1.22.3";
  spec.toolchain.delivery = goenv::Delivery::Download;
  spec.flags = {"-trimpath", "-ldflags=-s -w"};
  spec.modules.proxies = {{"https://goproxy.example", goenv::ProxyFallback::AnyError},
                          {"direct", goenv::ProxyFallback::NotFound}};
  spec.modules.private_patterns = {"git.example/team/*"};
  return goenv::render(spec, "1.22.3", {}).plan;
}

Json small_pod() {
  return Json::parse(R"({
    "apiVersion": "v1", "kind": "Pod",
    "metadata": {"generateName": "p-", "labels": {"gobuildenv.dev/env": "build"}},
    "spec": {"containers": [{"name": "main", "image": "conda:1", "command": ["go", "build"]}]}
  })");
}

Json review_of(const Json& pod, const std::string& ns) {
  Json review = Json::parse(R"({
    "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
    "request": {"uid": "u-1", "kind": {"group": "", "version": "v1", "kind": "Pod"},
      "resource": {"group": "", "version": "v1", "resource": "pods"},
      "operation": "CREATE", "userInfo": {"username": "ada", "groups": ["dev"]},
      "oldObject": null, "dryRun": false}
  })");
  review["request"]["namespace"] = ns;
  review["request"]["object"] = pod;
  return review;
}

AdmissionResponse decide_pod(const Json& pod, const EnvironmentLookup& lookup,
                             const std::string& ns) {
  const std::string body = review_of(pod, ns).dump();
  auto review = Review::parse(body);
  if (!review) {
    ADD_FAILURE() << review.error().message;
    return {};
  }
  return decide(*review, lookup, {});
}

Json patched(const Json& pod, const AdmissionResponse& response) {
  return response.patch.empty() ? pod : pod.patch(Json::parse(response.patch));
}

Json container_of(const Json& pod, const std::string& name) {
  for (const char* list : {"containers", "initContainers", "ephemeralContainers"}) {
    if (!pod["spec"].contains(list)) continue;
    for (const Json& container : pod["spec"][list]) {
      if (container.value("name", "") == name) return container;
    }
  }
  return nullptr;
}

namespace {

Json find_by(const Json& container, const char* list, const char* key, const std::string& value) {
  if (!container.is_object() || !container.contains(list)) return nullptr;
  for (const Json& item : container[list]) {
    if (item.value(key, "") == value) return item;
  }
  return nullptr;
}

}  // namespace

Json env_of(const Json& container, const std::string& name) {
  return find_by(container, "env", "name", name);
}

Json mount_at(const Json& container, const std::string& path) {
  return find_by(container, "volumeMounts", "mountPath", path);
}

std::string audit_of(const AdmissionResponse& response, const std::string& key) {
  for (const auto& [name, value] : response.audit_annotations) {
    if (name == key) return value;
  }
  return {};
}

}  // namespace gobuildenv::webhooks::testing
