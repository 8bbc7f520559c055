#include "webhooks/pod/explain.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.hpp"

/// Offline injection and explanation say and do what the webhook does.
namespace gobuildenv::webhooks::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Json wrapped(const std::string& pointer, Json pod) {
  pod.erase("apiVersion");
  pod.erase("kind");
  Json document = Json::object();
  document[Json::json_pointer(pointer)] = std::move(pod);
  return document;
}

TEST(Inject, EveryKindGetsWhatAPodGets) {
  FakeLookup lookup;
  lookup.serve("build", small_plan());
  const Json pod = patched(small_pod(), decide_pod(small_pod(), lookup));
  for (const char* kind : {R"("apps/v1","kind":"Deployment")", R"("batch/v1","kind":"CronJob")",
                           R"("v1","kind":"PodTemplate")"}) {
    const std::string pointer(*pod_template_pointer(std::string(R"({"apiVersion":)") + kind + "}"));
    const Json document = wrapped(pointer, small_pod());
    const auto result = inject_pod_template(document.dump(), pointer, "ci", lookup, {});
    ASSERT_TRUE(result) << result.error();
    const Json after = document.patch(Json::parse(result->patch));
    EXPECT_EQ(after, wrapped(pointer, pod));
    EXPECT_EQ(inject_pod_template(after.dump(), pointer, "ci", lookup, {})->patch, "");
  }
}

TEST(Inject, KnowsWhereTemplatesStand) {
  struct Case {
    std::string document;
    std::optional<std::string_view> pointer;
  };
  const std::string usual = R"("spec":{"template":{"spec":{"containers":[{"name":"m"}]}}})";
  for (const auto& [document, pointer] : std::vector<Case>{
           {R"({"apiVersion":"v1","kind":"Pod"})", ""},
           {R"({"apiVersion":"v1","kind":"ConfigMap"})", std::nullopt},
           {R"({"apiVersion":"batch/v1","kind":"Job"})", "/spec/template"},
           {R"({"apiVersion":"batch.volcano.sh/v1alpha1","kind":"Job","spec":{"tasks":[]}})",
            std::nullopt},
           {R"({"apiVersion":"argoproj.io/v1alpha1","kind":"Rollout",)" + usual + "}",
            "/spec/template"},
           {R"({"apiVersion":"a.example/v1","kind":"Pod","spec":{"template":{"spec":"x"}}})",
            std::nullopt},
           {R"({"kind":"Pod"})", std::nullopt},
           {R"([1])", std::nullopt},
           {"{", std::nullopt}}) {
    EXPECT_EQ(pod_template_pointer(document), pointer) << document;
  }
}

TEST(Inject, MakesMetadataWhereATemplateHasNone) {
  FakeLookup lookup;
  lookup.serve("build", small_plan());
  lookup.namespace_injection = NamespaceInjection::Enabled;
  lookup.selected.environments = {lookup.environments["ci/build"].environment};
  const Json document =
      Json::parse(R"({"spec":{"template":{"spec":{"containers":[{"name":"m"}]}}}})");
  const auto result = inject_pod_template(document.dump(), "/spec/template", "ci", lookup, {});
  ASSERT_TRUE(result) << result.error();
  EXPECT_EQ(
      document.patch(Json::parse(
          result->patch))["spec"]["template"]["metadata"]["labels"]["gobuildenv.dev/revision"],
      "0123456789");
}

TEST(Inject, SaysWhatIsWrongWithTheDocument) {
  const FakeLookup lookup;
  EXPECT_THAT(inject_pod_template("{", "", "ci", lookup, {}).error(), HasSubstr("not JSON"));
  EXPECT_EQ(inject_pod_template("{}", "/spec/template", "ci", lookup, {}).error(),
            "there is no /spec/template");
  EXPECT_EQ(inject_pod_template("{}", "", "ci", lookup, {}).error(), "there is no /spec");
}

TEST(Explain, TellsWhoWonAndWhy) {
  FakeLookup lookup;
  lookup.serve("build", small_plan());
  Json pod = small_pod();
  pod["spec"]["containers"][0]["env"] = {{{"name", "GOFLAGS"}, {"value", "-mod=vendor"}}};
  pod["spec"]["initContainers"] = {{{"name", "init"}, {"image", "x"}}};
  const auto result = inject_pod_template(pod.dump(), "", "ci", lookup, {});
  ASSERT_TRUE(result) << result.error();
  const Explanation& explanation = result->explanation;
  EXPECT_EQ(explanation.environment, "build");
  EXPECT_EQ(explanation.config_map, "build-0123456789");
  EXPECT_EQ(explanation.reason, "named by label gobuildenv.dev/env");
  ASSERT_EQ(explanation.containers.size(), 2U);
  const ContainerExplanation& init = explanation.containers[0];
  EXPECT_FALSE(init.follows);
  EXPECT_EQ(init.reason, "init container not in containers.include");
  const ContainerExplanation& main = explanation.containers[1];
  EXPECT_TRUE(main.follows);
  EXPECT_TRUE(main.differs);
  for (const VariableExplanation& variable : main.variables) {
    if (variable.name == "GOFLAGS") {
      EXPECT_EQ(variable.value, "-mod=vendor");
      EXPECT_EQ(to_string(variable.outcome), "container");
      EXPECT_THAT(variable.why, HasSubstr("Prefer"));
    } else {
      EXPECT_EQ(to_string(variable.outcome), "added") << variable.name;
    }
  }
}

TEST(Explain, SaysWhyACacheIsNotShared) {
  FakeLookup lookup;
  lookup.csi = CsiDriver::Registered;
  goenv::PodPlan plan = small_plan();
  plan.caches[0].scope = plan.caches[1].scope = goenv::CacheScope::Namespace;
  lookup.serve("build", plan);
  Json pod = small_pod();
  pod["spec"]["hostUsers"] = false;
  const auto result = inject_pod_template(pod.dump(), "", "ci", lookup, {});
  ASSERT_TRUE(result) << result.error();
  EXPECT_EQ(result->explanation.containers.at(0).reason,
            "/var/cache/gobuildenv/mod,/var/cache/gobuildenv/build: not shared, the pod has "
            "hostUsers: false");
  EXPECT_THAT(result->explanation.warnings, ElementsAre(HasSubstr("hostUsers: false")));
}

TEST(Explain, SaysWhyThereIsNone) {
  FakeLookup lookup;
  Json pod = small_pod();
  pod["metadata"]["labels"]["gobuildenv.dev/required"] = "true";
  const auto missing = inject_pod_template(pod.dump(), "", "ci", lookup, {});
  EXPECT_EQ(missing->explanation.outcome, Outcome::Missing);
  EXPECT_TRUE(missing->explanation.refused);
  EXPECT_EQ(missing->patch, "");
  pod["metadata"].erase("labels");
  const auto not_asked = inject_pod_template(pod.dump(), "", "ci", lookup, {});
  EXPECT_THAT(not_asked->explanation.reason, HasSubstr("no label gobuildenv.dev/env"));
  EXPECT_FALSE(not_asked->explanation.refused);
}

}  // namespace
}  // namespace gobuildenv::webhooks::testing
