// The whole manager against a real API server; see live_fixture.hpp.
#include <algorithm>

#include "controllers/certificates/controller.hpp"
#include "goenv/names.hpp"
#include "live_fixture.hpp"

namespace gobuildenv::controllers {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::LiveManager;
using Found = webhooks::EnvironmentLookup::Found;

const json kSpec{{"toolchain", {{"version", "1.22.3"}}}};

TEST_F(LiveManager, ServesRepairsAndRestartsWithoutAWrite) {
  start_manager();
  create_environment("app", kSpec);
  ASSERT_TRUE(eventually([&] { return ready("app"); })) << get(kGoBuildEnvType, "app").dump(1);
  const json object = get(kGoBuildEnvType, "app");
  const std::string revision = object["status"]["revisions"]["current"];
  EXPECT_EQ(object["status"]["observedGeneration"], 1);
  EXPECT_EQ(object["status"]["toolchain"]["version"], "1.22.3");
  const json config_map = get(kConfigMapType, "app-" + revision);
  EXPECT_EQ(config_map["immutable"], true);
  EXPECT_EQ(config_map["metadata"]["ownerReferences"][0]["uid"], object["metadata"]["uid"]);
  ASSERT_TRUE(eventually([&] { return manager_->lookup().find(ns_, "app").found == Found::Yes; }));
  EXPECT_EQ(*manager_->lookup().find(ns_, "app").environment->pod_json,
            config_map["data"]["pod.json"].get<std::string>());
  EXPECT_EQ(manager_->lookup().find(ns_, "other").found, Found::No);

  // Deleted by somebody: it comes back under its name.
  ASSERT_TRUE(client_->remove(kConfigMapType, {ns_, "app-" + revision}, {}, soon()));
  ASSERT_TRUE(eventually([&] { return !get(kConfigMapType, "app-" + revision).is_null(); }));
  EXPECT_EQ(get(kConfigMapType, "app-" + revision)["data"], config_map["data"]);

  // Replaced by somebody, labels and owner kept: the content counts.
  json forged = get(kConfigMapType, "app-" + revision);
  ASSERT_TRUE(client_->remove(kConfigMapType, {ns_, "app-" + revision}, {}, soon()));
  forged["metadata"].erase("resourceVersion");
  forged["metadata"].erase("uid");
  forged["metadata"].erase("managedFields");
  forged["metadata"].erase("creationTimestamp");
  forged["data"]["go.env"] = "GOFLAGS=-toolexec=/tmp/evil\n";
  bool planted = false;
  ASSERT_TRUE(eventually([&] {
    if (!planted) {
      planted = client_->create(kConfigMapType, ns_, forged.dump(), soon()).has_value();
      if (!planted) (void)client_->remove(kConfigMapType, {ns_, "app-" + revision}, {}, soon());
    }
    return planted;
  }));
  ASSERT_TRUE(eventually([&] {
    const json now = get(kGoBuildEnvType, "app");
    const std::string current = now["status"]["revisions"]["current"];
    return ready("app") && current != revision &&
           get(kConfigMapType, "app-" + revision).is_null() &&
           get(kConfigMapType, "app-" + current)["data"] == config_map["data"];
  })) << get(kGoBuildEnvType, "app").dump(1);

  stop_manager();
  const json before = get(kGoBuildEnvType, "app");
  writes_ = 0;
  const auto started = std::chrono::steady_clock::now();
  start_manager();
  std::this_thread::sleep_for(milliseconds(500));
  const auto renewals = (std::chrono::steady_clock::now() - started) / seconds(2);
  EXPECT_LE(writes_, 1 + renewals) << "nothing but the Lease";
  stop_manager();
  EXPECT_EQ(get(kGoBuildEnvType, "app")["metadata"]["resourceVersion"],
            before["metadata"]["resourceVersion"]);
}

TEST_F(LiveManager, AnEditKeepsWhatPodsUseAndAnInvalidOneStalls) {
  start_manager();
  create_environment("app", kSpec);
  ASSERT_TRUE(eventually([&] { return ready("app"); }));
  const std::string first = get(kGoBuildEnvType, "app")["status"]["revisions"]["current"];
  const auto edit = [&](const json& spec) {
    const auto done = client_->patch(kGoBuildEnvType, {ns_, "app"}, json{{"spec", spec}}.dump(),
                                     "application/merge-patch+json", "", soon());
    ASSERT_TRUE(done) << done.error().message;
  };
  edit({{"toolchain", {{"version", "1.23.1"}}}});
  ASSERT_TRUE(eventually([&] {
    return ready("app") && get(kGoBuildEnvType, "app")["status"]["revisions"]["current"] != first;
  }));
  EXPECT_EQ(get(kGoBuildEnvType, "app")["status"]["history"].size(), 2u);
  EXPECT_FALSE(get(kConfigMapType, "app-" + first).is_null());

  // No proxy is configured: a range cannot be resolved, and what served serves on.
  edit({{"toolchain", {{"version", "1.23"}}}});
  ASSERT_TRUE(eventually([&] {
    const json object = get(kGoBuildEnvType, "app");
    const json* stalled = condition(object, "Stalled");
    return stalled != nullptr && (*stalled)["reason"] == "NoProxyConfigured";
  })) << get(kGoBuildEnvType, "app").dump(1);
  EXPECT_EQ(manager_->lookup().find(ns_, "app").found, Found::Yes);
  edit({{"toolchain", {{"version", "1.22.3"}}}});
  ASSERT_TRUE(eventually([&] {
    return ready("app") && get(kGoBuildEnvType, "app")["status"]["revisions"]["current"] == first;
  }));
  EXPECT_EQ(condition(get(kGoBuildEnvType, "app"), "Stalled"), nullptr);
}

TEST_F(LiveManager, CertificatesAreMadeAndTrusted) {
  create(kMutatingWebhookType, "",
         {{"metadata", {{"name", ns_}}},
          {"webhooks",
           {{{"name", "pods.gobuildenv.dev"},
             {"clientConfig", {{"service", {{"name", "x"}, {"namespace", ns_}, {"path", "/p"}}}}},
             {"rules", json::array()},
             {"failurePolicy", "Ignore"},
             {"sideEffects", "None"},
             {"admissionReviewVersions", {"v1"}}}}}});
  kube::HealthChecks live("healthz");
  kube::HealthChecks ready_checks("readyz");
  start_manager();
  manager_->add_checks(live, ready_checks);
  ASSERT_TRUE(eventually([&] { return ready_checks.answer("/readyz").status == 200; }))
      << ready_checks.answer("/readyz?verbose").body;
  EXPECT_EQ(live.answer("/healthz").status, 200);
  EXPECT_GE(certificates_, 1);
  const json configuration = get(kMutatingWebhookType, ns_);
  EXPECT_FALSE(configuration["webhooks"][0]["clientConfig"]["caBundle"].get<std::string>().empty());
  EXPECT_EQ(configuration["webhooks"][0]["clientConfig"]["service"]["name"], "x");
  bool own_manager = false;
  for (const json& entry : configuration["metadata"]["managedFields"]) {
    own_manager = own_manager || entry["manager"] == kCaBundleManager;
  }
  EXPECT_TRUE(own_manager);
  EXPECT_EQ(get(kSecretType, "gobuildenv-webhook-cert")["type"], "kubernetes.io/tls");
}

TEST_F(LiveManager, PodsAreCountedAndTheMissedOnesTold) {
  create(kube::ResourceType{"", "v1", "serviceaccounts", "ServiceAccount", true}, ns_,
         {{"metadata", {{"name", "default"}, {"namespace", ns_}}}});
  start_manager();
  create_environment("app", kSpec);
  ASSERT_TRUE(eventually([&] { return ready("app"); }));
  const std::string revision = get(kGoBuildEnvType, "app")["status"]["revisions"]["current"];
  const auto pod = [&](const std::string& name, json labels, json annotations) {
    create(kPodType, ns_,
           {{"metadata",
             {{"name", name},
              {"namespace", ns_},
              {"labels", std::move(labels)},
              {"annotations", std::move(annotations)}}},
            {"spec", {{"containers", {{{"name", "c"}, {"image", "image.invalid/x:1"}}}}}}});
  };
  const json asking{{std::string(goenv::kEnvLabel), "app"}};
  pod("got", asking, {{std::string(goenv::kRevisionAnnotation), revision}});
  pod("missed", asking, json::object());
  pod("chosen", {{std::string(goenv::kRevisionLabel), revision}},
      {{std::string(goenv::kEnvironmentAnnotation), "app"}});
  ASSERT_TRUE(eventually([&] {
    const json status = get(kGoBuildEnvType, "app")["status"];
    return status["pods"]["injected"] == 2 && status["pods"]["missed"] == 1;
  })) << get(kGoBuildEnvType, "app").dump(1);
  const kube::ResourceType event{"events.k8s.io", "v1", "events", "Event", true};
  const auto told = [&](const std::string& reason, const std::string& name,
                        const std::string& uid) {
    const auto page = client_->list(event, in(ns_), soon());
    if (!page) return false;
    const json list = json::parse(page->body);
    return std::any_of(list["items"].begin(), list["items"].end(), [&](const json& item) {
      const json& about = item["regarding"];
      return item["reason"] == reason && about["name"] == name && about.value("uid", "") == uid;
    });
  };
  const auto uid = [&](const kube::ResourceType& type, const std::string& name) {
    return get(type, name)["metadata"]["uid"].get<std::string>();
  };
  ASSERT_TRUE(
      eventually([&] { return told("EnvironmentMissed", "missed", uid(kPodType, "missed")); }));
  EXPECT_NE(metrics_.text().find("gobuildenv_pods_missed{namespace=\"" + ns_ + "\"} 1"),
            std::string::npos);

  const std::string environment = uid(kGoBuildEnvType, "app");
  ASSERT_TRUE(client_->remove(kGoBuildEnvType, {ns_, "app"}, {}, soon()));
  EXPECT_TRUE(eventually([&] { return told("DeletedWhileInUse", "app", environment); }));
  for (const char* name : {"got", "chosen"}) {
    EXPECT_TRUE(eventually([&] { return told("EnvironmentDeleted", name, uid(kPodType, name)); }))
        << name;
  }
}

}  // namespace
}  // namespace gobuildenv::controllers
