#include "webhooks/pod/decide.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.hpp"
#include "webhooks/handlers.hpp"

/// Which environment a pod gets, and the answer when it gets none.
namespace gobuildenv::webhooks::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Found = EnvironmentLookup::Found;

struct Case {
  const char* name;
  std::function<void(Json& pod, FakeLookup& lookup)> arrange;
  const char* result;   ///< audit annotation
  const char* warning;  ///< part of one; nullptr: there is none
  int code = 0;         ///< when denied
};

Json& labels(Json& pod) { return pod["metadata"]["labels"]; }

/// Environment `build` with `delivery: Volume`, while nobody knows whether the driver is there.
void mounted_while_the_driver_cannot_be_read(FakeLookup& lookup) {
  goenv::PodPlan plan = small_plan();
  plan.delivery = goenv::Delivery::Volume;
  plan.toolchain_path = "/opt/gobuildenv/toolchain";
  lookup.serve("build", plan);
  lookup.csi = CsiDriver::Unknown;
}

const Case kCases[] = {
    {"asked", [](Json&, FakeLookup&) {}, "changed", nullptr},
    {"not asked", [](Json& pod, FakeLookup&) { labels(pod).clear(); }, "not-asked", nullptr},
    {"no labels at all", [](Json& pod, FakeLookup&) { pod["metadata"].erase("labels"); },
     "not-asked", nullptr},
    {"missing", [](Json&, FakeLookup& lookup) { lookup.environments.clear(); }, "missing",
     "pod unchanged: there is no GoBuildEnv build in namespace ci"},
    {"missing but required",
     [](Json& pod, FakeLookup& lookup) {
       lookup.environments.clear();
       labels(pod)["gobuildenv.dev/required"] = "true";
     },
     "denied", nullptr, 403},
    {"required means true",
     [](Json& pod, FakeLookup& lookup) {
       lookup.environments.clear();
       labels(pod)["gobuildenv.dev/required"] = "yes";
     },
     "missing", "there is no GoBuildEnv"},
    {"required without an environment",
     [](Json& pod, FakeLookup&) {
       labels(pod) = {{"gobuildenv.dev/required", "true"}};
     },
     "denied", nullptr, 403},
    {"missing in an enforced namespace",
     [](Json&, FakeLookup& lookup) {
       lookup.environments.clear();
       lookup.namespace_injection = NamespaceInjection::Enforced;
     },
     "denied", nullptr, 403},
    {"no revision yet",
     [](Json&, FakeLookup& lookup) {
       lookup.environments["ci/build"] = {Found::NotServed, {}};
     },
     "not-served", "has no revision yet"},
    {"no revision yet but required",
     [](Json& pod, FakeLookup& lookup) {
       lookup.environments["ci/build"] = {Found::NotServed, {}};
       labels(pod)["gobuildenv.dev/required"] = "true";
     },
     "denied", nullptr, 503},
    {"caches not synced",
     [](Json&, FakeLookup& lookup) {
       lookup.environments["ci/build"] = {Found::Unknown, {}};
     },
     "unavailable", "cannot be read at the moment"},
    {"answer without an environment",
     [](Json&, FakeLookup& lookup) {
       lookup.environments["ci/build"] = {Found::Yes, {}};
     },
     "not-served", "has no revision yet"},
    {"namespace disabled",
     [](Json&, FakeLookup& lookup) { lookup.namespace_injection = NamespaceInjection::Disabled; },
     "excluded", "namespace ci says gobuildenv.dev/injection: disabled"},
    {"namespace disabled beats required",
     [](Json& pod, FakeLookup& lookup) {
       lookup.namespace_injection = NamespaceInjection::Disabled;
       labels(pod)["gobuildenv.dev/required"] = "true";
     },
     "excluded", "disabled"},
    {"selector in an enabled namespace",
     [](Json& pod, FakeLookup& lookup) {
       labels(pod).clear();
       lookup.namespace_injection = NamespaceInjection::Enabled;
       lookup.selected.environments = {lookup.environments["ci/build"].environment};
     },
     "changed", nullptr},
    {"selector in a namespace without label",
     [](Json& pod, FakeLookup& lookup) {
       labels(pod).clear();
       lookup.selected.environments = {lookup.environments["ci/build"].environment};
     },
     "not-asked", nullptr},
    {"two selectors",
     [](Json& pod, FakeLookup& lookup) {
       labels(pod).clear();
       lookup.namespace_injection = NamespaceInjection::Enabled;
       lookup.serve("other", small_plan());
       lookup.selected.environments = {lookup.environments["ci/build"].environment,
                                       lookup.environments["ci/other"].environment};
     },
     "conflict", "GoBuildEnvs build and other all select this pod"},
    {"the only selecting environment cannot be read",
     [](Json& pod, FakeLookup& lookup) {
       labels(pod).clear();
       lookup.namespace_injection = NamespaceInjection::Enabled;
       lookup.selected.unknown = {"build"};
     },
     "unavailable", "pod unchanged: GoBuildEnv build in namespace ci cannot be read at the moment"},
    {"the only selecting environment cannot be read, but is required",
     [](Json& pod, FakeLookup& lookup) {
       labels(pod) = {{"gobuildenv.dev/required", "true"}};
       lookup.namespace_injection = NamespaceInjection::Enabled;
       lookup.selected.unknown = {"build"};
     },
     "denied", nullptr, 503},
    {"two selectors, one environment cannot be read",
     [](Json& pod, FakeLookup& lookup) {
       labels(pod).clear();
       lookup.namespace_injection = NamespaceInjection::Enabled;
       lookup.selected = {{lookup.environments["ci/build"].environment}, {"another"}, true};
     },
     "conflict", "GoBuildEnvs another and build all select this pod"},
    {"two selectors, neither environment can be read",
     [](Json& pod, FakeLookup& lookup) {
       labels(pod).clear();
       lookup.namespace_injection = NamespaceInjection::Enabled;
       lookup.selected.unknown = {"a", "b"};
     },
     "conflict", "GoBuildEnvs a and b all select this pod"},
    {"not all selectors known yet",
     [](Json& pod, FakeLookup& lookup) {
       labels(pod).clear();
       lookup.namespace_injection = NamespaceInjection::Enabled;
       lookup.selected.complete = false;
     },
     "unavailable", "what selects pods of namespace ci cannot be read at the moment"},
    {"one selector, not all known yet",
     [](Json& pod, FakeLookup& lookup) {
       labels(pod).clear();
       lookup.namespace_injection = NamespaceInjection::Enabled;
       lookup.selected = {{lookup.environments["ci/build"].environment}, {}, false};
     },
     "unavailable", "what selects pods of namespace ci cannot be read at the moment"},
    {"two selectors, not all known yet",
     [](Json& pod, FakeLookup& lookup) {
       labels(pod).clear();
       lookup.namespace_injection = NamespaceInjection::Enabled;
       lookup.selected = {{lookup.environments["ci/build"].environment}, {"c"}, false};
     },
     "conflict", "GoBuildEnvs build and c all select this pod"},
    {"required, not all selectors known yet",
     [](Json& pod, FakeLookup& lookup) {
       labels(pod) = {{"gobuildenv.dev/required", "true"}};
       lookup.namespace_injection = NamespaceInjection::Enabled;
       lookup.selected.complete = false;
     },
     "denied", nullptr, 503},
    {"namespace cannot be read",
     [](Json&, FakeLookup& lookup) { lookup.namespace_injection = NamespaceInjection::Unknown; },
     "unavailable", "pod unchanged: namespace ci cannot be read at the moment"},
    {"namespace cannot be read, but required",
     [](Json& pod, FakeLookup& lookup) {
       lookup.namespace_injection = NamespaceInjection::Unknown;
       labels(pod)["gobuildenv.dev/required"] = "true";
     },
     "denied", nullptr, 503},
    {"namespace cannot be read, nothing asked and nothing selects",
     [](Json& pod, FakeLookup& lookup) {
       lookup.namespace_injection = NamespaceInjection::Unknown;
       labels(pod).clear();
     },
     "not-asked", nullptr},
    {"namespace cannot be read, nothing selects what is required",
     [](Json& pod, FakeLookup& lookup) {
       lookup.namespace_injection = NamespaceInjection::Unknown;
       labels(pod) = {{"gobuildenv.dev/required", "true"}};
     },
     "denied", nullptr, 503},
    {"namespace cannot be read, selected",
     [](Json& pod, FakeLookup& lookup) {
       lookup.namespace_injection = NamespaceInjection::Unknown;
       labels(pod).clear();
       lookup.selected.environments = {lookup.environments["ci/build"].environment};
     },
     "unavailable", "pod unchanged: namespace ci cannot be read at the moment"},
    {"namespace cannot be read, pod of Argo itself",
     [](Json& pod, FakeLookup& lookup) {
       lookup.namespace_injection = NamespaceInjection::Unknown;
       labels(pod)["workflows.argoproj.io/component"] = "gc";
     },
     "excluded", "a pod of Argo Workflows itself"},
    {"driver cannot be read",
     [](Json&, FakeLookup& lookup) { mounted_while_the_driver_cannot_be_read(lookup); },
     "unavailable", "pod unchanged: CSIDriver gobuildenv.dev cannot be read at the moment"},
    {"driver cannot be read, but required",
     [](Json& pod, FakeLookup& lookup) {
       mounted_while_the_driver_cannot_be_read(lookup);
       labels(pod)["gobuildenv.dev/required"] = "true";
     },
     "denied", nullptr, 503},
    {"driver cannot be read, enforced namespace",
     [](Json&, FakeLookup& lookup) {
       mounted_while_the_driver_cannot_be_read(lookup);
       lookup.namespace_injection = NamespaceInjection::Enforced;
     },
     "denied", nullptr, 503},
    {"driver cannot be read, selected",
     [](Json& pod, FakeLookup& lookup) {
       mounted_while_the_driver_cannot_be_read(lookup);
       labels(pod).clear();
       lookup.namespace_injection = NamespaceInjection::Enforced;
       lookup.selected.environments = {lookup.environments["ci/build"].environment};
     },
     "unavailable", "pod unchanged: CSIDriver gobuildenv.dev cannot be read at the moment"},
    {"driver cannot be read, nothing is mounted",
     [](Json&, FakeLookup& lookup) { lookup.csi = CsiDriver::Unknown; }, "changed", nullptr},
    {"driver cannot be read, shared caches only",
     [](Json& pod, FakeLookup& lookup) {
       goenv::PodPlan plan = small_plan();
       plan.caches[0].scope = goenv::CacheScope::Environment;
       lookup.serve("build", plan);
       lookup.csi = CsiDriver::Unknown;
       labels(pod)["gobuildenv.dev/required"] = "true";
     },
     "changed", nullptr},
    {"driver absent",
     [](Json&, FakeLookup& lookup) {
       mounted_while_the_driver_cannot_be_read(lookup);
       lookup.csi = CsiDriver::Absent;
     },
     "changed", "no CSI driver gobuildenv.dev: go1.22.3 is not mounted"},
    {"driver and namespace cannot be read",
     [](Json&, FakeLookup& lookup) {
       mounted_while_the_driver_cannot_be_read(lookup);
       lookup.namespace_injection = NamespaceInjection::Unknown;
     },
     "unavailable", "pod unchanged: namespace ci cannot be read at the moment"},
    {"label beats two selectors",
     [](Json&, FakeLookup& lookup) {
       lookup.namespace_injection = NamespaceInjection::Enabled;
       lookup.selected.environments = {lookup.environments["ci/build"].environment,
                                       lookup.environments["ci/build"].environment};
     },
     "changed", nullptr},
    {"mirror pod",
     [](Json& pod, FakeLookup&) {
       pod["metadata"]["annotations"] = {{"kubernetes.io/config.mirror", "abc"}};
     },
     "excluded", nullptr},
    {"Windows by os",
     [](Json& pod, FakeLookup&) {
       pod["spec"]["os"] = {{"name", "windows"}};
     },
     "windows", "this is a Windows pod"},
    {"Windows by node selector",
     [](Json& pod, FakeLookup&) {
       pod["spec"]["nodeSelector"] = {{"kubernetes.io/os", "windows"}};
     },
     "windows", "this is a Windows pod"},
    {"Linux by name",
     [](Json& pod, FakeLookup&) {
       pod["spec"]["os"] = {{"name", "linux"}};
     },
     "changed", nullptr},
    {"pod of Argo itself",
     [](Json& pod, FakeLookup&) { labels(pod)["workflows.argoproj.io/component"] = "gc"; },
     "excluded", "a pod of Argo Workflows itself"},
    {"only containers of the CI system",
     [](Json& pod, FakeLookup&) {
       labels(pod)["jenkins/label"] = "x";
       pod["spec"]["containers"][0]["name"] = "jnlp";
     },
     "skipped", "no container of this pod is changed"},
    {"unreadable plan",
     [](Json&, FakeLookup& lookup) {
       auto broken = std::make_shared<ServedEnvironment>();
       broken->name = "build";
       broken->revision = "0123456789";
       broken->pod_json = std::make_shared<const std::string>("{\"format\":99}");
       lookup.environments["ci/build"] = {Found::Yes, broken};
     },
     "unreadable", "revision 0123456789"},
};

TEST(Decide, Table) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    FakeLookup lookup;
    lookup.serve("build", small_plan());
    Json pod = small_pod();
    c.arrange(pod, lookup);
    const AdmissionResponse response = decide_pod(pod, lookup);
    EXPECT_EQ(audit_of(response, "result"), c.result);
    EXPECT_EQ(response.allowed, c.code == 0);
    EXPECT_EQ(response.code, c.code);
    if (c.warning == nullptr) {
      EXPECT_THAT(response.warnings, IsEmpty());
    } else {
      EXPECT_THAT(response.warnings, Contains(HasSubstr(c.warning)));
    }
    for (const std::string& warning : response.warnings) EXPECT_LE(warning.size(), 120U);
    const bool patched_expected =
        std::string_view(c.result) == "changed" || std::string_view(c.result) == "skipped";
    EXPECT_EQ(!response.patch.empty(), patched_expected);
  }
}

TEST(Decide, DeniedPodsAreTold) {
  FakeLookup lookup;
  Json pod = small_pod();
  labels(pod)["gobuildenv.dev/required"] = "true";
  const AdmissionResponse response = decide_pod(pod, lookup);
  EXPECT_EQ(response.message,
            "the pod must not run without its Go build environment: there is no GoBuildEnv build "
            "in namespace ci");
  const Json review = Json::parse(encode(response, "u-9"));
  EXPECT_EQ(review["response"]["status"]["code"], 403);
  EXPECT_FALSE(review["response"].contains("patch"));
}

/// Whether a namespace of unknown label refuses its pods is in the webhook that called.
TEST(Decide, FailurePolicyDecidesWhereNobodyKnowsWhetherTheNamespaceEnforces) {
  FakeLookup lookup;
  lookup.serve("build", small_plan());
  lookup.selected.environments = {lookup.environments["ci/build"].environment};
  std::vector<std::string> results;
  const auto handler =
      make_pod_handler(lookup, {}, [&](const Review&, const AdmissionResponse& response) {
        results.push_back(audit_of(response, "result"));
      });
  const Json asks = small_pod();
  Json requires_it = asks;
  labels(requires_it)["gobuildenv.dev/required"] = "true";
  Json selected = asks;
  labels(selected).clear();
  const auto status = [&](const Json& pod) { return handler(review_of(pod).dump()).status; };
  EXPECT_EQ(status(asks), 200);
  lookup.namespace_injection = NamespaceInjection::Unknown;
  EXPECT_EQ(
      handler(review_of(asks).dump()).body,
      "{\"error\":\"gobuildenv: pod unchanged: namespace ci cannot be read at the moment\"}\n");
  EXPECT_EQ(status(asks), 503);
  EXPECT_EQ(status(requires_it), 200) << "refused in any namespace";
  EXPECT_EQ(status(selected), 200) << "no namespace refuses these";
  EXPECT_THAT(results,
              ElementsAre("changed", "unavailable", "unavailable", "denied", "unavailable"));
}

TEST(Decide, IsAnsweredWhereOnlyTheDriverCannotBeRead) {
  FakeLookup lookup;
  mounted_while_the_driver_cannot_be_read(lookup);
  const auto handler = make_pod_handler(lookup, {}, {});
  const auto answer = [&] { return handler(review_of(small_pod()).dump()); };
  EXPECT_EQ(answer().status, 200) << "the namespace has said that the pod may run unchanged";
  EXPECT_TRUE(Json::parse(answer().body)["response"]["allowed"].get<bool>());
  lookup.namespace_injection = NamespaceInjection::Enforced;
  EXPECT_EQ(answer().status, 200);
  const Json refused = Json::parse(answer().body)["response"];
  EXPECT_FALSE(refused["allowed"].get<bool>());
  EXPECT_EQ(refused["status"]["code"], 503);
  lookup.namespace_injection = NamespaceInjection::Unknown;
  EXPECT_EQ(answer().status, 503) << "which of the webhooks was called, the API server knows";
}

TEST(Decide, ExcludedNamespacesAreNeverTouched) {
  FakeLookup lookup;
  lookup.serve("build", small_plan());
  lookup.environments["kube-system/build"] = lookup.environments["ci/build"];
  const AdmissionResponse response = decide_pod(small_pod(), lookup, "kube-system");
  EXPECT_EQ(response.patch, "");
  EXPECT_EQ(audit_of(response, "result"), "excluded");
}

TEST(Decide, OnlyTheCreationOfPodsIsLookedAt) {
  FakeLookup lookup;
  lookup.serve("build", small_plan());
  const std::pair<const char*, Json> others[] = {
      {"operation", "UPDATE"}, {"subResource", "ephemeralcontainers"}, {"object", nullptr}};
  for (const auto& [field, value] : others) {
    Json review = review_of(small_pod());
    review["request"][field] = value;
    const std::string body = review.dump();
    const AdmissionResponse response = decide(*Review::parse(body), lookup, {});
    EXPECT_TRUE(response.allowed) << field;
    EXPECT_EQ(response.patch, "") << field;
  }
  Json review = review_of(small_pod());
  review["request"]["resource"]["resource"] = "deployments";
  const std::string body = review.dump();
  EXPECT_EQ(decide(*Review::parse(body), lookup, {}).patch, "");
}

TEST(Decide, AuditAnnotationsNameEnvironmentRevisionAndResult) {
  FakeLookup lookup;
  lookup.serve("build", small_plan());
  const AdmissionResponse response = decide_pod(small_pod(), lookup);
  EXPECT_THAT(response.audit_annotations,
              ElementsAre(std::pair<std::string, std::string>("environment", "build"),
                          std::pair<std::string, std::string>("revision", "0123456789"),
                          std::pair<std::string, std::string>("result", "changed")));
}

}  // namespace
}  // namespace gobuildenv::webhooks::testing
