#include "kube/request_builder.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace gobuildenv::kube {
namespace {

const ResourceType kPods{"", "v1", "pods", "Pod", true};
const ResourceType kEnvs{"gobuildenv.dev", "v1alpha1", "gobuildenvs", "GoBuildEnv", true};
const ResourceType kNodes{"", "v1", "nodes", "Node", false};

struct Case {
  const char* name;
  Built built;
  Method method;
  std::string target;
  std::string accept = "application/json";
  std::string content_type = "";
  std::string body = "";
};

ListOptions list_options() {
  ListOptions out;
  out.ns = "ci";
  out.label_selector = "a=b,c";
  out.field_selector = "spec.nodeName=n";
  out.resource_version = "0";
  out.limit = 500;
  return out;
}

ListOptions continued() {
  ListOptions out = list_options();
  out.continue_token = "a+b/=";
  out.metadata_only = true;
  return out;
}

WatchOptions watch_options(bool initial) {
  WatchOptions out;
  out.resource_version = "17";
  out.metadata_only = initial;
  out.send_initial_events = initial;
  out.timeout_seconds = 301;
  return out;
}

class Builds : public ::testing::TestWithParam<Case> {};

TEST_P(Builds, TheRequest) {
  const Case& wanted = GetParam();
  ASSERT_TRUE(wanted.built) << wanted.built.error().message;
  EXPECT_EQ(wanted.built->method, wanted.method);
  EXPECT_EQ(wanted.built->target, wanted.target);
  EXPECT_EQ(header_value(wanted.built->headers, "accept"), wanted.accept);
  EXPECT_EQ(header_value(wanted.built->headers, "content-type"), wanted.content_type);
  EXPECT_EQ(wanted.built->body, wanted.body);
}

constexpr const char* kManaged = "?fieldManager=gobuildenv&fieldValidation=Strict";
constexpr const char* kPlainJson = "application/json";

INSTANTIATE_TEST_SUITE_P(
    Table, Builds,
    ::testing::Values(
        Case{"Get", build_get(kPods, {"ci", "p"}), Method::Get, "/api/v1/namespaces/ci/pods/p"},
        Case{"GetClusterScoped", build_get(kNodes, {"", "n"}), Method::Get, "/api/v1/nodes/n"},
        Case{"List", build_list(kPods, list_options()), Method::Get,
             "/api/v1/namespaces/ci/pods?labelSelector=a%3Db%2Cc&fieldSelector=spec.nodeName%3Dn"
             "&limit=500&resourceVersion=0"},
        Case{"ListAll", build_list(kEnvs, {}), Method::Get,
             "/apis/gobuildenv.dev/v1alpha1/gobuildenvs"},
        Case{"ListContinued", build_list(kPods, continued()), Method::Get,
             "/api/v1/namespaces/ci/pods?labelSelector=a%3Db%2Cc&fieldSelector=spec.nodeName%3Dn"
             "&limit=500&continue=a%2Bb%2F%3D",
             "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"},
        Case{"Watch", build_watch(kEnvs, watch_options(false)), Method::Get,
             "/apis/gobuildenv.dev/v1alpha1/gobuildenvs?watch=1&allowWatchBookmarks=true"
             "&resourceVersion=17&timeoutSeconds=301"},
        Case{"StreamingList", build_watch(kEnvs, watch_options(true)), Method::Get,
             "/apis/gobuildenv.dev/v1alpha1/gobuildenvs?watch=1&allowWatchBookmarks=true"
             "&resourceVersion=17&timeoutSeconds=301&sendInitialEvents=true"
             "&resourceVersionMatch=NotOlderThan",
             "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"},
        Case{"Create", build_create(kPods, "ci", "{}"), Method::Post,
             std::string("/api/v1/namespaces/ci/pods") + kManaged, kPlainJson, kPlainJson, "{}"},
        Case{"CreateForMetadata", build_create(kPods, "ci", "{}", WriteAnswer::Metadata),
             Method::Post, std::string("/api/v1/namespaces/ci/pods") + kManaged,
             "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", kPlainJson, "{}"},
        Case{"Update", build_update(kEnvs, {"ci", "e"}, "{}", "status"), Method::Put,
             std::string("/apis/gobuildenv.dev/v1alpha1/namespaces/ci/gobuildenvs/e/status") +
                 kManaged,
             kPlainJson, kPlainJson, "{}"},
        Case{"Apply", build_apply(kEnvs, {"ci", "e"}, "{}", {"other", true, "status"}),
             Method::Patch,
             "/apis/gobuildenv.dev/v1alpha1/namespaces/ci/gobuildenvs/e/status?fieldManager=other"
             "&fieldValidation=Strict&force=true",
             kPlainJson, kApplyPatch, "{}"},
        Case{"ApplyWithoutForce", build_apply(kNodes, {"", "n"}, "{}", {"m", false, ""}),
             Method::Patch, "/api/v1/nodes/n?fieldManager=m&fieldValidation=Strict", kPlainJson,
             kApplyPatch, "{}"},
        Case{"MergePatch", build_patch(kPods, {"ci", "p"}, "{}", kMergePatch, ""), Method::Patch,
             std::string("/api/v1/namespaces/ci/pods/p") + kManaged, kPlainJson, kMergePatch, "{}"},
        Case{"JsonPatch", build_patch(kPods, {"ci", "p"}, "[]", kJsonPatch, "status"),
             Method::Patch, std::string("/api/v1/namespaces/ci/pods/p/status") + kManaged,
             kPlainJson, kJsonPatch, "[]"}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(RequestBuilder, SaysHowLargeAPageWillBe) {
  ListOptions options = list_options();
  options.expected_bytes = 1234;
  EXPECT_EQ(build_list(kPods, options)->expected_body, 1234U);
}

TEST(RequestBuilder, DeletesWithPreconditions) {
  const auto built = build_remove(kPods, {"ci", "p"}, {"u-1", "42"});
  ASSERT_TRUE(built);
  EXPECT_EQ(built->method, Method::Delete);
  const auto body = nlohmann::json::parse(built->body);
  EXPECT_EQ(body["kind"], "DeleteOptions");
  EXPECT_EQ(body["preconditions"]["uid"], "u-1");
  EXPECT_EQ(body["preconditions"]["resourceVersion"], "42");
  EXPECT_FALSE(
      nlohmann::json::parse(build_remove(kPods, {"ci", "p"}, {})->body).contains("preconditions"));
}

TEST(RequestBuilder, RefusesWhatWouldNameSomethingElse) {
  for (const Built& bad :
       {build_get(kPods, {"ci", ".."}), build_get(kPods, {"ci", "a/b"}),
        build_get(kPods, {"ci", "a%2fb"}), build_get(kPods, {"ci", ""}),
        build_get(kPods, {"", "p"}), build_get(kPods, {"..", "p"}), build_get(kNodes, {"ci", "n"}),
        build_create(kPods, "", "{}"), build_update(kPods, {"ci", "p"}, "{}", "../x"),
        build_patch(kPods, {"ci", "p"}, "{}", "application/json", ""),
        build_apply(kPods, {"ci", "p"}, "{}", {"", true, ""}),
        build_list({"a/b", "v1", "x", "X", true}, {})}) {
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().kind, Error::Kind::Invalid);
  }
}

}  // namespace
}  // namespace gobuildenv::kube
