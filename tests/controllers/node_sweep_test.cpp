#include <gmock/gmock.h>

#include "caches.hpp"
#include "controllers/nodes/sweep.hpp"
#include "memory_client.hpp"

namespace gobuildenv::controllers {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

json tells(const std::string& version, int ready, int desired, const char* status,
           const char* reason) {
  return {{"toolchain", {{"version", version}}},
          {"nodes", {{"ready", ready}, {"desired", desired}}},
          {"conditions", json::array({{{"type", kToolchainReady},
                                       {"status", status},
                                       {"reason", reason},
                                       {"message", "m"},
                                       {"lastTransitionTime", "2026-11-22T10:58:50Z"}}})}};
}
json tells_ready(const std::string& version, int nodes) {
  return tells(version, nodes, nodes, "True", "Ready");
}
json tells_nothing(const std::string& version) { return {{"toolchain", {{"version", version}}}}; }

class Sweep : public ::testing::Test {
 protected:
  Sweep() { testing::sync(environments_); }

  void environment(const std::string& name, const json& status, const char* delivery = "Volume") {
    environments_.observe_write(client_.put(
        "gobuildenvs", {{"metadata", {{"name", name}, {"namespace", "ns"}, {"generation", 1}}},
                        {"spec", {{"toolchain", {{"version", "1.22.3"}, {"delivery", delivery}}}}},
                        {"status", status}}));
  }
  void deleting(const std::string& name) {
    json& object = client_.at("gobuildenvs", name);
    object["metadata"]["deletionTimestamp"] = "2026-11-22T10:58:50Z";
    environments_.observe_write(client_.touch(object));
  }
  static std::shared_ptr<const NodeRecord> holding(const std::vector<std::string>& versions) {
    json list = json::array();
    for (const auto& version : versions) {
      list.push_back({{"version", version}, {"state", "Ready"}, {"key", "h1"}, {"sum", "h1:A="}});
    }
    return decode_node(json{{"metadata", {{"name", "n"}, {"uid", "u"}, {"resourceVersion", "1"}}},
                            {"status", {{"toolchains", list}}}}
                           .dump())
        ->value;
  }
  std::shared_ptr<const NodeRecord> node(const std::vector<std::string>& versions,
                                         std::shared_ptr<const NodeRecord> before = nullptr) {
    const kube::ObjectKey key{{}, "n"};
    auto now = holding(versions);
    tally_.observe({key, std::move(before), now, kube::Origin::Watch, "u"});
    return now;
  }
  /// What a pass lets through.
  std::vector<std::string> pass() {
    through_.clear();
    more_ = sweep_.pass().kind == kube::ReconcileResult::Kind::RequeueAfter;
    return through_;
  }
  bool counted(const std::string& what, int times) {
    return metrics_.text().find("gobuildenv_node_sweep_" + what + "_total " +
                                std::to_string(times) + "\n") != std::string::npos;
  }

  kube::FakeClock clock_;
  kube::Metrics metrics_;
  testing::MemoryClient client_;
  kube::InformerRuntime runtime_{client_, clock_, [] { return 0.5; }, nullptr};
  kube::Informer<EnvironmentRecord> environments_{runtime_, {}, decode_environment};
  NodeTally tally_;
  std::vector<std::string> through_;
  bool more_ = false;
  NodeSweep sweep_{environments_,
                   tally_,
                   [this](const kube::ObjectKey& key) { through_.push_back(key.name); },
                   clock_,
                   &metrics_,
                   {.per_pass = 3}};
};

TEST_F(Sweep, ComparesOnceWhatManyTell) {
  for (int i = 0; i < 2000; ++i) {
    environment("e" + std::to_string(i), tells_ready(i % 2 == 0 ? "1.22.3" : "1.23.1", 1));
  }
  node({"1.22.3", "1.23.1"});
  EXPECT_THAT(pass(), IsEmpty());
  EXPECT_FALSE(more_);
  EXPECT_TRUE(counted("passes", 1));
  EXPECT_TRUE(counted("compared", 2)) << metrics_.text();
  EXPECT_TRUE(counted("environments", 0));
}

TEST_F(Sweep, LetsThroughOnlyThoseThatTellSomethingElse) {
  environment("old", tells_ready("1.22.3", 1));
  environment("new", tells_ready("1.23.1", 1));
  environment("fetched", tells_nothing("1.24.0"), "Download");
  environment("unresolved", json::object());
  environment("gone", tells_ready("1.23.1", 1));
  deleting("gone");
  node({"1.22.3"}, node({"1.22.3", "1.23.1"}));
  EXPECT_THAT(pass(), UnorderedElementsAre("new"));
  EXPECT_TRUE(sweep_.take_due({"ns", "new"}));
  EXPECT_FALSE(sweep_.take_due({"ns", "new"})) << "once";
  EXPECT_FALSE(sweep_.take_due({"ns", "old"}));
  EXPECT_TRUE(counted("environments", 1));

  environment("new", tells("1.23.1", 0, 1, "False", "Fetching"));
  EXPECT_THAT(pass(), IsEmpty());
  EXPECT_FALSE(more_);
}

TEST_F(Sweep, TurnedConditionsGoFirstAndFewGoAtATime) {
  for (const char* name : {"a", "b", "c"})
    environment(name, tells("1.22.3", 1, 3, "False", "Fetching"));
  for (const char* name : {"x", "y"}) environment(name, tells_ready("1.23.1", 2));
  node({"1.22.3"});
  node({"1.22.3"});
  node({});
  const auto first = pass();
  EXPECT_THAT(first, SizeIs(3));
  EXPECT_EQ(std::set<std::string>(first.begin(), first.begin() + 2),
            (std::set<std::string>{"x", "y"}));
  EXPECT_TRUE(more_);
  EXPECT_EQ(sweep_.delay(), seconds(30)) << "after a pass";
  for (const char* name : {"x", "y"}) environment(name, tells("1.23.1", 0, 3, "False", "Fetching"));
  environment(first[2], tells("1.22.3", 2, 3, "False", "Fetching"));
  EXPECT_THAT(pass(), SizeIs(2)) << "the rest of those whose counts alone are others";
}

TEST_F(Sweep, WhatWasLetThroughAndNotWrittenComesAgain) {
  environment("a", tells_nothing("1.22.3"));
  EXPECT_EQ(sweep_.delay(), seconds(2));
  EXPECT_THAT(pass(), IsEmpty()) << "there is no agent, and it tells of none";
  node({});
  EXPECT_THAT(pass(), UnorderedElementsAre("a"));
  EXPECT_THAT(pass(), UnorderedElementsAre("a"));
  EXPECT_TRUE(sweep_.take_due({"ns", "a"}));
  clock_.advance(seconds(30));
  EXPECT_EQ(sweep_.delay(), seconds(2));
}

}  // namespace
}  // namespace gobuildenv::controllers
