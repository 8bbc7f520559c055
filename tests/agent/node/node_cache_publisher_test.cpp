#include "agent/node/node_cache_publisher.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "node_cache_samples.hpp"
#include "tests/controllers/memory_client.hpp"

namespace gobuildenv::agent {
namespace {

using controllers::testing::MemoryClient;
using crds::ToolchainPhase;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using testing::fact;
using testing::node_facts;
using Kind = kube::Error::Kind;
using Json = nlohmann::json;

class CountingClient : public MemoryClient {
 public:
  int others = 0;  ///< GoNodeCaches of other nodes
  /// As of a single manager: what was applied before and is not any more goes.
  Result apply(const kube::ResourceType& type, const kube::ObjectKey& key, std::string_view body,
               const kube::ApplyOptions& options, kube::Deadline deadline) override {
    if (has(type.plural, key.name) && !options.subresource.empty()) {
      at(type.plural, key.name).erase("status");
    }
    return MemoryClient::apply(type, key, body, options, deadline);
  }
  tl::expected<kube::ListPage, kube::Error> list(const kube::ResourceType&,
                                                 const kube::ListOptions& options,
                                                 kube::Deadline) override {
    EXPECT_EQ(options.limit, 1);
    Json page{{"metadata", {{"resourceVersion", "1"}}}, {"items", Json::array()}};
    if (others > 0) page["metadata"]["remainingItemCount"] = others;
    return kube::ListPage{page.dump()};
  }
};

struct Recorder final : kube::EventRecorder {
  void record(kube::Event event) noexcept override { events.push_back(std::move(event)); }
  std::vector<kube::Event> events;
};

class PublisherTest : public ::testing::Test {
 protected:
  PublisherTest() {
    client.put("nodes", {{"metadata", {{"name", "n1"}}}});
    facts = node_facts();
  }
  void make() {
    publisher.emplace(
        "n1", [this] { return facts; },
        NodeCachePublisherEdges{client, recorder, clock, metrics, [] { return 0.5; }});
  }
  /// Turns as its thread would, for that long.
  void run(seconds duration) {
    const auto end = clock.now() + duration;
    while (clock.now() < end) {
      const auto next = std::min(publisher->turn(), end);
      clock.advance(std::max<kube::Clock::Duration>(next - clock.now(), milliseconds(1)));
    }
    publisher->turn();
  }
  Json object() {
    return client.has("gonodecaches", "n1") ? client.at("gonodecaches", "n1") : Json();
  }

  kube::FakeClock clock;
  kube::Metrics metrics;
  CountingClient client;
  Recorder recorder;
  NodeCacheFacts facts;
  std::optional<NodeCachePublisher> publisher;
};

TEST_F(PublisherTest, MakesTheObjectWritesItOnceAndIsQuiet) {
  facts.toolchains = {fact("1.22.3")};
  make();
  run(seconds(10));
  EXPECT_THAT(client.log, ElementsAre("apply gonodecaches/n1", "apply gonodecaches/n1"));
  EXPECT_EQ(client.applied[0].subresource, "");
  EXPECT_EQ(client.applied[1].subresource, "status");
  EXPECT_EQ(object()["metadata"]["ownerReferences"][0]["uid"],
            client.at("nodes", "n1")["metadata"]["uid"]);
  EXPECT_EQ(object()["status"]["summary"]["toolchains"], "1.22.3");
  EXPECT_TRUE(recorder.events.empty());
  run(std::chrono::hours(24));
  EXPECT_EQ(client.log.size(), 2U) << "nothing changed";
}

TEST_F(PublisherTest, WritesWhatChangesAndTellsIt) {
  make();
  run(seconds(10));
  facts.toolchains = {fact("1.22.3", ToolchainPhase::Fetching)};
  run(seconds(3));
  EXPECT_EQ(object()["status"]["summary"]["toolchains"], "1.22.3 (Fetching)");
  facts.toolchains = {fact("1.22.3")};
  run(seconds(15));
  EXPECT_EQ(object()["status"]["summary"]["toolchains"], "1.22.3");
  EXPECT_EQ(client.log.size(), 4U);
  ASSERT_EQ(recorder.events.size(), 2U);
  EXPECT_EQ(recorder.events[0].reason, "ToolchainFetching");
  EXPECT_EQ(recorder.events[1].reason, "ToolchainReady");
  EXPECT_EQ(recorder.events[1].uid, object()["metadata"]["uid"]);
  EXPECT_EQ(recorder.events[1].type.kind, "GoNodeCache");
}

TEST_F(PublisherTest, ARestartWritesNothingAndKeepsWhatWasReclaimed) {
  facts.freed_total = facts.freed_last = std::uint64_t{64} << 20U;
  facts.last_run = facts.now;
  make();
  run(seconds(10));
  const auto writes = client.log.size();
  ASSERT_EQ(object()["status"]["collection"]["reclaimed"], "64Mi");
  facts.freed_total = facts.freed_last = 0;
  facts.registered = false;
  facts.looked = false;
  make();
  run(seconds(5));
  facts.registered = true;
  run(std::chrono::hours(1));
  EXPECT_EQ(client.log.size(), writes);
  facts.looked = true;
  facts.freed_total = facts.freed_last = std::uint64_t{32} << 20U;
  facts.last_run = facts.now + 3600;
  run(std::chrono::hours(1));
  EXPECT_EQ(object()["status"]["collection"]["reclaimed"], "96Mi");
}

TEST_F(PublisherTest, ADriverThatIsNotRegisteredIsToldAfterAWhile) {
  facts.registered = false;
  make();
  run(seconds(20));
  EXPECT_TRUE(client.log.empty());
  run(seconds(20));
  EXPECT_EQ(object()["status"]["conditions"][0]["reason"], "NotRegistered");
}

TEST_F(PublisherTest, MakesItAgainWhenItIsGone) {
  make();
  run(seconds(10));
  client.all("gonodecaches").clear();
  run(seconds(120));
  EXPECT_EQ(object()["status"]["summary"]["size"], "0");
  // Somebody has made another one meanwhile: the next write finds out by the uid.
  const Json before = object();
  client.all("gonodecaches").clear();
  client.put("gonodecaches", before);
  facts.toolchains = {fact("1.22.3")};
  run(seconds(30));
  EXPECT_EQ(object()["status"]["summary"]["toolchains"], "1.22.3");
}

TEST_F(PublisherTest, PutsRightWhatOthersWrote) {
  make();
  run(seconds(10));
  client.at("gonodecaches", "n1")["status"]["conditions"][0]["status"] = "False";
  run(seconds(180));
  EXPECT_EQ(object()["status"]["conditions"][0]["status"], "True");
  client.at("gonodecaches", "n1")["status"]["disk"] = "nonsense";
  run(seconds(180));
  EXPECT_EQ(object()["status"]["disk"]["usedPercent"], 40);
}

TEST_F(PublisherTest, FailuresAreTriedAgainMoreAndMoreSeldom) {
  int tries = 0;
  client.fail = [&](const std::string&) -> std::optional<Kind> {
    ++tries;
    return Kind::Retry;
  };
  make();
  run(std::chrono::hours(1));
  EXPECT_GT(tries, 8);
  EXPECT_LT(tries, 60);
  client.fail = nullptr;
  run(seconds(400));
  EXPECT_FALSE(object().is_null());
}

TEST_F(PublisherTest, WaitsWhileTheApiServerDoesNotAnswer) {
  client.fail_gets = Kind::Retry;
  make();
  run(seconds(60));
  EXPECT_TRUE(client.log.empty());
  client.fail_gets.reset();
  run(seconds(30));
  EXPECT_FALSE(object().is_null());
}

TEST_F(PublisherTest, TakesItsTimeInALargeCluster) {
  client.others = 9'999;
  make();
  run(seconds(45));
  EXPECT_TRUE(client.log.empty()) << "half of the 100 s that 10,000 nodes take";
  run(seconds(10));
  EXPECT_EQ(client.log.size(), 2U);
}

TEST_F(PublisherTest, ItsThreadStartsAndStops) {
  make();
  publisher->start();
  publisher->changed();
  publisher->stop();
}

}  // namespace
}  // namespace gobuildenv::agent
