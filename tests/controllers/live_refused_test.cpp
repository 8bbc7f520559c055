// ConfigMaps that a real API server does not let in; see live_fixture.hpp.
#include "controllers/certificates/records.hpp"
#include "live_fixture.hpp"

namespace gobuildenv::controllers {
namespace {

using nlohmann::json;
using testing::LiveManager;

const json kSpec{{"toolchain", {{"version", "1.22.3"}}}};

TEST_F(LiveManager, AQuotaThatRefusesIsToldAndLiftedLater) {
  const kube::ResourceType quota{"", "v1", "resourcequotas", "ResourceQuota", true};
  const json none{{"count/configmaps", "0"}};
  create(quota, ns_,
         {{"metadata", {{"name", "few"}, {"namespace", ns_}}}, {"spec", {{"hard", none}}}});
  // As the controller of quotas does where one runs.
  const auto counted =
      client_->patch(quota, {ns_, "few"}, json{{"status", {{"hard", none}, {"used", none}}}}.dump(),
                     "application/merge-patch+json", "status", soon());
  ASSERT_TRUE(counted) << counted.error().message;
  start_manager();
  create_environment("app", kSpec);
  const auto stalled = [&] {
    const json object = get(kGoBuildEnvType, "app");
    const json* found = condition(object, "Stalled");
    return found != nullptr && (*found)["reason"] == "ConfigMapRefused" &&
           (*found)["message"].get<std::string>().find("exceeded quota: few") != std::string::npos;
  };
  ASSERT_TRUE(eventually(stalled)) << get(kGoBuildEnvType, "app").dump(1);
  const json object = get(kGoBuildEnvType, "app");
  EXPECT_EQ(object["status"]["observedGeneration"], 1);
  EXPECT_EQ((*condition(object, "Ready"))["status"], "False");
  const std::string message = (*condition(object, "Ready"))["message"];
  EXPECT_NE(message.find("raise the ResourceQuota"), std::string::npos) << message;
  ASSERT_TRUE(client_->remove(quota, {ns_, "few"}, {}, soon()));
  EXPECT_TRUE(eventually([&] { return ready("app"); })) << get(kGoBuildEnvType, "app").dump(1);
  EXPECT_FALSE(stalled());
}

TEST_F(LiveManager, AWebhookOfOthersThatIsDownIsToldAndOutlived) {
  const std::string down = ns_ + "-down";
  create(kValidatingWebhookType, "",
         {{"metadata", {{"name", down}}},
          {"webhooks",
           {{{"name", "down.example.com"},
             {"clientConfig", {{"url", "https://127.0.0.1:1/"}}},
             {"namespaceSelector", {{"matchLabels", {{"kubernetes.io/metadata.name", ns_}}}}},
             {"rules",
              {{{"apiGroups", {""}},
                {"apiVersions", {"v1"}},
                {"operations", {"CREATE"}},
                {"resources", {"configmaps"}}}}},
             {"failurePolicy", "Fail"},
             {"sideEffects", "None"},
             {"timeoutSeconds", 1},
             {"admissionReviewVersions", {"v1"}}}}}});
  ASSERT_TRUE(eventually([&] {
    const json probe{{"apiVersion", "v1"},
                     {"kind", "ConfigMap"},
                     {"metadata", {{"generateName", "probe-"}, {"namespace", ns_}}}};
    return !client_->create(kConfigMapType, ns_, probe.dump(), soon());
  }));
  start_manager();
  create_environment("app", kSpec);
  const auto stalled = [&] {
    const json object = get(kGoBuildEnvType, "app");
    const json* found = condition(object, "Stalled");
    return found != nullptr && (*found)["reason"] == "ConfigMapFailed";
  };
  ASSERT_TRUE(eventually(stalled)) << get(kGoBuildEnvType, "app").dump(1);
  const json object = get(kGoBuildEnvType, "app");
  const std::string message = (*condition(object, "Ready"))["message"];
  EXPECT_NE(message.find("failed calling webhook \"down.example.com\""), std::string::npos)
      << message;
  EXPECT_NE(message.find("mend that webhook"), std::string::npos) << message;
  ASSERT_TRUE(client_->remove(kValidatingWebhookType, {"", down}, {}, soon()));
  EXPECT_TRUE(eventually([&] { return ready("app"); })) << get(kGoBuildEnvType, "app").dump(1);
  EXPECT_FALSE(stalled());
}

}  // namespace
}  // namespace gobuildenv::controllers
