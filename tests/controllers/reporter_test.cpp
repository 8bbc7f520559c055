#include "controllers/missed/reporter.hpp"

#include <gtest/gtest.h>

#include "caches.hpp"
#include "goenv/names.hpp"
#include "memory_client.hpp"

namespace gobuildenv::controllers {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using ResultKind = kube::ReconcileResult::Kind;

class Reporter : public ::testing::Test {
 protected:
  Reporter()
      : runtime_{client_, clock_, [] { return 0.5; }, nullptr},
        environments_(runtime_, {}, decode_environment),
        config_maps_(runtime_, {}, decode_config_map, {config_map_index()}),
        pods_(runtime_, {}, decode_pod, {pod_index()}),
        chosen_(runtime_, {}, decode_pod, {pod_index()}),
        missed_({environments_, config_maps_, pods_, chosen_}, events_, clock_, &metrics_,
                {[](const std::string& ns) { return ns == "off"; }, 1, 2}) {
    testing::sync(environments_);
    testing::sync(pods_);
    testing::sync(chosen_);
    for (auto* informer : {&pods_, &chosen_}) {
      informer->add_handler([this](const auto& change) {
        if (missed_.observe(change)) asked_.push_back(change.key.name);
      });
    }
  }

  static json pod(const std::string& name, const std::string& ns = "ns") {
    return {
        {"metadata",
         {{"name", name}, {"namespace", ns}, {"labels", {{std::string(goenv::kEnvLabel), "app"}}}}},
        {"status", {{"phase", "Pending"}}}};
  }
  static json injected(const std::string& name, const std::string& ns = "ns") {
    json out = pod(name, ns);
    out["metadata"]["annotations"][std::string(goenv::kRevisionAnnotation)] = "0123456789";
    return out;
  }
  static json chosen(const std::string& name, const std::string& environment) {
    json out = pod(name);
    out["metadata"]["labels"] = {{std::string(goenv::kRevisionLabel), "0123456789"}};
    out["metadata"]["annotations"][std::string(goenv::kEnvironmentAnnotation)] = environment;
    return out;
  }
  /// A new object, with a uid of its own, created just now.
  void show(kube::Informer<PodRecord>& informer, json object) {
    object["metadata"]["creationTimestamp"] = now();
    informer.observe_write(client_.put("pods", std::move(object)));
  }
  std::string now() const {
    const std::time_t time = std::chrono::system_clock::to_time_t(clock_.wall_now());
    std::tm parts{};
    gmtime_r(&time, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
  }
  ResultKind reconcile(const std::string& name, const std::string& ns = "ns") {
    return missed_.reconcile({ns, name}).kind;
  }
  bool exposes(const std::string& line) {
    return metrics_.text().find(line + "\n") != std::string::npos;
  }

  kube::FakeClock clock_;
  testing::MemoryClient client_;
  kube::Metrics metrics_;
  kube::InformerRuntime runtime_;
  kube::Informer<EnvironmentRecord> environments_;
  kube::Informer<ConfigMapRecord> config_maps_;
  kube::Informer<PodRecord> pods_;
  kube::Informer<PodRecord> chosen_;
  testing::CollectedEvents events_;
  MissedPods missed_;
  std::vector<std::string> asked_;
};

TEST_F(Reporter, TellsOfEachPodOnce) {
  environments_.observe_write(client_.put(
      "gobuildenvs",
      {{"metadata", {{"name", "app"}, {"namespace", "ns"}}}, {"spec", json::object()}}));
  show(pods_, pod("a"));
  show(pods_, injected("b"));
  EXPECT_EQ(asked_, std::vector<std::string>{"a"});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(reconcile("a"), ResultKind::Done);
  EXPECT_EQ(reconcile("b"), ResultKind::Done);
  EXPECT_EQ(reconcile("absent"), ResultKind::Done);
  ASSERT_EQ(events_.events.size(), 1u);
  EXPECT_EQ(events_.events[0].reason, "EnvironmentNotReady");
  EXPECT_EQ(events_.events[0].key, (kube::ObjectKey{"ns", "a"}));
  EXPECT_EQ(events_.events[0].uid, client_.at("pods", "a")["metadata"]["uid"]);
  EXPECT_TRUE(events_.events[0].warning);

  // Another pod of the same name (a StatefulSet's, say) is another pod.
  show(pods_, pod("a"));
  EXPECT_EQ(reconcile("a"), ResultKind::Done);
  EXPECT_EQ(events_.events.size(), 2u);
}

TEST_F(Reporter, TellsNoFasterThanItsRate) {
  for (const char* name : {"a", "b", "c", "d"}) show(pods_, pod(name));
  EXPECT_EQ(reconcile("a"), ResultKind::Done);
  EXPECT_EQ(reconcile("b"), ResultKind::Done);
  EXPECT_EQ(reconcile("c"), ResultKind::RequeueAfter);
  EXPECT_EQ(events_.events.size(), 2u);
  clock_.advance(seconds(1));
  EXPECT_EQ(reconcile("c"), ResultKind::Done);
  EXPECT_EQ(reconcile("d"), ResultKind::RequeueAfter);
  clock_.advance(seconds(1));
  EXPECT_EQ(reconcile("d"), ResultKind::Done);
  EXPECT_EQ(events_.events.size(), 4u);
}

TEST_F(Reporter, CountsByNamespace) {
  show(pods_, pod("a"));
  show(pods_, pod("b"));
  show(pods_, injected("c"));
  show(pods_, pod("d", "off"));
  show(chosen_, chosen("e", "app"));
  json by_hand = chosen("f", "");
  show(chosen_, by_hand);
  EXPECT_TRUE(exposes("gobuildenv_pods_missed{namespace=\"ns\"} 2"));
  EXPECT_TRUE(exposes("gobuildenv_pods_injected{namespace=\"ns\"} 2"));
  EXPECT_TRUE(exposes("gobuildenv_pods_missed{namespace=\"off\"} 0"));

  json& finished = client_.at("pods", "a");
  finished["status"]["phase"] = "Failed";
  pods_.observe_write(client_.touch(finished));
  json& done = client_.at("pods", "e");
  done["status"]["phase"] = "Succeeded";
  chosen_.observe_write(client_.touch(done));
  EXPECT_TRUE(exposes("gobuildenv_pods_missed{namespace=\"ns\"} 1")) << metrics_.text();
  EXPECT_TRUE(exposes("gobuildenv_pods_injected{namespace=\"ns\"} 1"));
}

TEST_F(Reporter, FindsThePodsThatADeletedEnvironmentStrands) {
  show(pods_, injected("waits"));
  show(pods_, pod("without"));
  show(chosen_, chosen("chosen", "app"));
  show(chosen_, chosen("others", "other"));
  json running = injected("runs");
  running["status"]["phase"] = "Running";
  show(pods_, running);
  show(pods_, injected("elsewhere", "ns2"));
  EXPECT_TRUE(missed_.stranded().empty());
  missed_.environment_gone({"ns", "app"});
  auto stranded = missed_.stranded();
  std::sort(stranded.begin(), stranded.end());
  EXPECT_EQ(stranded, (std::vector<kube::ObjectKey>{{"ns", "chosen"}, {"ns", "waits"}}));
  EXPECT_TRUE(missed_.stranded().empty()) << "each deletion is looked after once";
  for (const auto& key : stranded) EXPECT_EQ(missed_.reconcile(key).kind, ResultKind::Done);
  ASSERT_EQ(events_.events.size(), 2u);
  EXPECT_EQ(events_.events[0].reason, "EnvironmentDeleted");
  EXPECT_EQ(events_.events[0].key.name, "chosen");
  EXPECT_EQ(events_.events[1].key.name, "waits");
}

}  // namespace
}  // namespace gobuildenv::controllers
