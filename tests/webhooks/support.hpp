#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "goenv/pod_plan.hpp"
#include "webhooks/pod/decide.hpp"

/// What the tests of the pod webhook share.
namespace gobuildenv::webhooks::testing {

using Json = nlohmann::json;

/// Environments in memory.
class FakeLookup : public EnvironmentLookup {
 public:
  std::map<std::string, Answer> environments;  ///< by "namespace/name"
  Candidates selected;                         ///< by every namespace, whatever the pod's labels
  NamespaceInjection namespace_injection = NamespaceInjection::Unset;
  CsiDriver csi = CsiDriver::Absent;

  /// Adds environment `name` of namespace ci with `plan` as revision `revision`.
  void serve(const std::string& name, const goenv::PodPlan& plan,
             const std::string& revision = "0123456789");

  Answer find(std::string_view ns, std::string_view name) const override;
  Candidates selecting(std::string_view ns, const Labels& labels) const override;
  NamespaceInjection injection(std::string_view ns) const override;
  CsiDriver csi_driver() const override;
};

/// A plan with a few variables, one hook, two launcher files and two caches.
goenv::PodPlan small_plan();

/// A plan as rendered from a usual spec: proxies, flags, delivery by download.
goenv::PodPlan full_plan();

/// A pod of namespace ci with label gobuildenv.dev/env: build and one container, main.
Json small_pod();

/// The AdmissionReview for the creation of `pod`.
Json review_of(const Json& pod, const std::string& ns = "ci");

/// Parses and decides; fails the test when the review cannot be parsed.
AdmissionResponse decide_pod(const Json& pod, const EnvironmentLookup& lookup,
                             const std::string& ns = "ci");

/// `pod` after the response's patch.
Json patched(const Json& pod, const AdmissionResponse& response);

/// The container `name` of any list; null when there is none.
Json container_of(const Json& pod, const std::string& name);

/// The env entry of `container`; null when there is none.
Json env_of(const Json& container, const std::string& name);

/// The mount of `container` at `path`; null when there is none.
Json mount_at(const Json& container, const std::string& path);

/// The value of an audit annotation; empty when absent.
std::string audit_of(const AdmissionResponse& response, const std::string& key);

}  // namespace gobuildenv::webhooks::testing
