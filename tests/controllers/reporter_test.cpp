#include "controllers/missed/reporter.hpp"

#include <gtest/gtest.h>

#include "caches.hpp"
#include "crds/time.hpp"
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
  /// A new object, with a uid of its own, created so long ago.
  void show(kube::Informer<PodRecord>& informer, json object, seconds age = seconds(0)) {
    const auto now = std::chrono::duration_cast<seconds>(clock_.wall_now().time_since_epoch());
    object["metadata"]["creationTimestamp"] = crds::format_time((now - age).count());
    informer.observe_write(client_.put("pods", std::move(object)));
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

TEST_F(Reporter, ManyWaitForTheirTurnAndAreLookedAtOnceEach) {
  std::vector<std::string> names;
  for (int i = 0; i < 20; ++i) {
    names.push_back("p" + std::to_string(i));
    show(pods_, pod(names.back()));
  }
  int looks = 0;
  std::vector<std::pair<kube::Clock::TimePoint, std::string>> due;
  for (const std::string& name : names) due.emplace_back(clock_.now(), name);
  while (!due.empty()) {
    const auto first = std::min_element(due.begin(), due.end());
    if (first->first > clock_.now()) clock_.advance(first->first - clock_.now());
    const std::string name = first->second;
    due.erase(first);
    ++looks;
    const auto result = missed_.reconcile({"ns", name});
    if (result.kind != ResultKind::Done) due.emplace_back(clock_.now() + result.after, name);
  }
  EXPECT_EQ(events_.events.size(), names.size());
  EXPECT_EQ(looks, 2 + 2 * 18) << "two at once, the others when their turn has come";
}

TEST_F(Reporter, TellsOfWhatCameWhileNobodyLed) {
  using std::chrono::hours;
  using std::chrono::minutes;
  struct Case {
    const char* name;
    std::optional<seconds> led_until;  ///< ago
    seconds age;
    bool told;
  };
  const std::vector<Case> cases{
      {"nobody ever led, just missed", std::nullopt, minutes(9), true},
      {"nobody ever led, long ago", std::nullopt, minutes(11), false},
      {"a restart", seconds(5), hours(2), false},
      {"a restart, and he may not have got to it", seconds(5), minutes(9), true},
      {"a gap", hours(3), hours(2), true},
      {"before the gap", hours(3), hours(4), false},
      {"his clock is ahead", -hours(1), minutes(9), true},
      {"his clock is ahead, long ago", -hours(1), minutes(11), false},
  };
  for (const Case& test : cases) {
    clock_.advance(minutes(1));
    events_.events.clear();
    std::optional<std::chrono::system_clock::time_point> led_until;
    if (test.led_until) led_until = clock_.wall_now() - *test.led_until;
    missed_.lead(led_until);
    show(pods_, pod("a"), test.age);
    EXPECT_EQ(reconcile("a"), ResultKind::Done) << test.name;
    EXPECT_EQ(events_.events.size(), test.told ? 1u : 0u) << test.name;
  }
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
  missed_.revisions_gone({"ns", "app"});
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

TEST_F(Reporter, FindsThePodsThatADeletedRevisionStrands) {
  const auto environment = [&](const std::string& current) {
    json object{{"metadata", {{"name", "app"}, {"namespace", "ns"}}}, {"spec", json::object()}};
    if (!current.empty()) object["status"] = {{"revisions", {{"current", current}}}};
    environments_.observe_write(client_.put("gobuildenvs", std::move(object)));
  };
  const auto stranded = [&] {
    missed_.revisions_gone({"ns", "app"});
    return missed_.stranded().size();
  };
  show(pods_, injected("waits"));
  environment("");
  EXPECT_EQ(stranded(), 0U) << "what it will serve is not known yet";
  environment("0123456789");
  EXPECT_EQ(stranded(), 0U) << "the current revision is made again";
  environment("aaaaaaaaaa");
  EXPECT_EQ(stranded(), 1U);
  EXPECT_EQ(reconcile("waits"), ResultKind::Done);
  ASSERT_EQ(events_.events.size(), 1U);
  EXPECT_EQ(events_.events[0].reason, "RevisionDeleted");

  config_maps_.observe_write(
      client_.put("configmaps", {{"metadata", {{"name", "app-0123456789"}, {"namespace", "ns"}}}}));
  EXPECT_EQ(stranded(), 0U) << "it is there";
  show(pods_, injected("starts"));
  EXPECT_EQ(reconcile("starts"), ResultKind::Done);
  EXPECT_EQ(events_.events.size(), 1U);
}

}  // namespace
}  // namespace gobuildenv::controllers
