#include "agent/node/node_cache_status.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/node/node_cache_facts.hpp"
#include "crds/node_cache_names.hpp"
#include "node_cache_samples.hpp"

namespace gobuildenv::agent {
namespace {

using crds::ConditionStatus;
using crds::ToolchainPhase;
using ::testing::ElementsAre;
using testing::fact;
using ::testing::HasSubstr;
using testing::node_facts;

std::vector<std::string> reasons(const std::vector<NodeCacheNote>& notes) {
  std::vector<std::string> out;
  for (const auto& note : notes) out.push_back(note.reason);
  return out;
}

TEST(NodeCacheStatus, ShowsToolchainsInOrderWithTheirState) {
  auto facts = node_facts();
  facts.toolchains = {fact("1.22.10"), fact("1.23.1", ToolchainPhase::Failed), fact("1.9.7"),
                      fact("1.22.3", ToolchainPhase::Fetching)};
  facts.toolchains[3].bytes = 35;
  facts.toolchains[3].total_bytes = 70;
  facts.toolchains[0].volumes = 2;
  const auto status = decide_node_cache(facts, {});
  EXPECT_EQ(status.toolchains_summary, "1.9.7, 1.22.3 (Fetching), 1.22.10, 1.23.1 (Failed)");
  EXPECT_EQ(status.toolchains[1].progress, 50);
  EXPECT_EQ(status.toolchains[1].size, 0);
  EXPECT_EQ(status.toolchains[2].volumes, 2);
  EXPECT_EQ(status.toolchains[2].last_used, 0) << "it is being used";
  EXPECT_EQ(status.toolchains[0].last_used % 3600, 0);
  EXPECT_EQ(status.toolchains[3].reason, "ProxyUnreachable");
  EXPECT_EQ(status.size, std::int64_t{452} << 20);
  EXPECT_EQ(status.disk_used_percent, 40);
  EXPECT_EQ(status.inodes_used_percent, 10);
}

TEST(NodeCacheStatus, SaysWhatIsWrong) {
  auto facts = node_facts();
  auto status = decide_node_cache(facts, {});
  EXPECT_EQ(status.find(crds::kReady)->reason, "Serving");
  EXPECT_EQ(status.find(crds::kToolchainsReady)->reason, "AllReady");
  EXPECT_EQ(status.conditions.size(), 2U);

  facts.toolchains = {fact("1.22.3", ToolchainPhase::Fetching)};
  EXPECT_EQ(decide_node_cache(facts, {}).find(crds::kToolchainsReady)->reason, "Fetching");
  facts.toolchains.push_back(fact("1.23.1", ToolchainPhase::Failed));
  status = decide_node_cache(facts, {});
  EXPECT_EQ(status.find(crds::kToolchainsReady)->reason, "Failed");
  EXPECT_THAT(status.find(crds::kToolchainsReady)->message, HasSubstr("go1.23.1: ProxyUnreach"));
  EXPECT_EQ(status.find(crds::kReady)->status, ConditionStatus::True);

  facts.registered = false;
  facts.registration_error = "version 9";
  status = decide_node_cache(facts, {});
  EXPECT_EQ(status.find(crds::kReady)->reason, "NotRegistered");
  EXPECT_THAT(status.find(crds::kReady)->message, HasSubstr("version 9"));

  facts.problem = {{"DiskFull", "no space left"}};
  status = decide_node_cache(facts, {});
  EXPECT_EQ(status.find(crds::kReady)->reason, "DiskFull");
  EXPECT_EQ(status.find(crds::kDiskFull)->status, ConditionStatus::True);
  EXPECT_EQ(status.find(crds::kDiskFull)->message, "no space left");
}

TEST(NodeCacheStatus, AFetchMeetsADiskProblemToo) {
  for (const auto& [reason, type] : std::vector<std::pair<std::string, std::string_view>>{
           {"DiskFull", crds::kDiskFull},
           {"ReadOnlyDisk", crds::kReadOnlyFileSystem},
           {"DiskError", crds::kIoError}}) {
    auto facts = node_facts();
    facts.toolchains = {fact("1.23.1", ToolchainPhase::Failed)};
    facts.toolchains[0].reason = reason;
    EXPECT_NE(decide_node_cache(facts, {}).find(type), nullptr) << reason;
  }
}

TEST(NodeCacheStatus, RemembersWhatIsOnlySaidOnce) {
  auto facts = node_facts();
  NodeCacheMemory memory;
  memory.reclaimed_before = 1000;
  memory.status = decide_node_cache(facts, memory);
  const std::string began = memory.status.find(crds::kReady)->last_transition_time;
  facts.now += 100;
  facts.last_run = facts.now;
  facts.freed_last = facts.freed_total = 500;
  memory.status = decide_node_cache(facts, memory);
  memory.freed_seen = facts.freed_total;
  EXPECT_EQ(memory.status.last_collected, facts.now);
  EXPECT_EQ(memory.status.reclaimed, 1500);
  EXPECT_EQ(memory.status.find(crds::kReady)->last_transition_time, began);
  const std::int64_t then = facts.now;
  facts.now += 100;
  facts.last_run = facts.now;  // a run that took nothing
  EXPECT_EQ(decide_node_cache(facts, memory).last_collected, then);
  facts.registered = false;
  EXPECT_NE(decide_node_cache(facts, memory).find(crds::kReady)->last_transition_time, began);
}

TEST(NodeCacheStatus, BeforeTheFirstLookAtTheDiskWhatWasKnownStays) {
  auto facts = node_facts();
  facts.caches = {{"uid", "ci", std::uint64_t{1} << 30U, facts.now}};
  facts.decisions = {{"unit", false, 1, "kept"}};
  NodeCacheMemory memory;
  memory.status = decide_node_cache(facts, memory);
  const auto restarted = decide_node_cache(
      [] {
        auto f = node_facts();
        f.looked = false;
        f.disk.reset();
        return f;
      }(),
      memory);
  EXPECT_EQ(restarted, memory.status);
}

TEST(NodeCacheStatus, KeepsWithinWhatTheApiTakes) {
  auto facts = node_facts();
  for (int i = 0; i < 200; ++i) facts.toolchains.push_back(fact("1.22." + std::to_string(i)));
  facts.toolchains[7].last_used += 7200;
  facts.toolchains.push_back(fact("1.23.1", ToolchainPhase::Failed));
  facts.toolchains.back().message = std::string(600, 'x') + "\xC3\xA9";
  facts.toolchains.push_back(fact("1.23.1", ToolchainPhase::Failed));  // twice the same
  for (int i = 0; i < 200; ++i) facts.caches.push_back({"uid", std::to_string(i), 1, 0});
  const auto status = decide_node_cache(facts, {});
  EXPECT_LE(status.toolchains.size(), crds::kMaxNodeToolchains);
  EXPECT_GE(status.toolchains.size(), crds::kMaxNodeToolchains - 1);
  EXPECT_EQ(status.toolchains.back().version, "1.23.1") << "what is not ready is always shown";
  const auto has = [&](const char* version) {
    return std::any_of(status.toolchains.begin(), status.toolchains.end(),
                       [&](const auto& t) { return t.version == version; });
  };
  EXPECT_TRUE(has("1.22.7"));
  EXPECT_EQ(status.caches.size(), crds::kMaxNodeCaches);
  EXPECT_LE(status.toolchains_summary.size(), 256U);
  EXPECT_LE(status.toolchains.back().message.size(), 512U);
}

TEST(NodeCacheStatus, WhatAProxySaidBecomesUtf8) {
  auto facts = node_facts();
  facts.toolchains = {fact("1.23.1", ToolchainPhase::Failed)};
  facts.toolchains[0].message =
      "a\xFFz \xE0\x80\x80 \xED\xA0\x80 caf\xC3\xA9 \xF4\x90\x80\x80 \xC3";
  EXPECT_EQ(decide_node_cache(facts, {}).toolchains[0].message, "a?z ??? ??? caf\xC3\xA9 ???? ?");
}

TEST(NodeCacheNotes, TellOfTransitionsOnce) {
  auto facts = node_facts();
  facts.toolchains = {fact("1.21.6"), fact("1.22.3", ToolchainPhase::Fetching)};
  const auto fetching = decide_node_cache(facts, {});
  EXPECT_THAT(reasons(note_changes({}, fetching)), ElementsAre("ToolchainFetching"))
      << "what a new object finds in the store is no news";
  EXPECT_TRUE(note_changes(fetching, fetching).empty());
  facts.toolchains[1] = fact("1.22.3");
  const auto ready = decide_node_cache(facts, {});
  const auto notes = note_changes(fetching, ready);
  ASSERT_THAT(reasons(notes), ElementsAre("ToolchainReady"));
  EXPECT_EQ(notes[0].subject, "go1.22.3.linux-amd64");
  EXPECT_EQ(notes[0].message, "go1.22.3.linux-amd64 is ready, 226Mi, h1:1.22.3");
  facts.toolchains.erase(facts.toolchains.begin());
  facts.toolchains.push_back(fact("1.23.1", ToolchainPhase::Failed));
  facts.problem = {{"IOError", "bad sector"}};
  const auto failed = decide_node_cache(facts, {});
  EXPECT_THAT(reasons(note_changes(ready, failed)),
              ElementsAre("ToolchainFailed", "ToolchainRemoved", "IOError"));
}

TEST(NodeCacheFactsTest, AreWhatThePartsSay) {
  NodeCacheSources sources;
  sources.now = 1'795'345'130;
  const auto id = [](const char* version) {
    return ToolchainId{goenv::parse_version(version).value(), "linux", "amd64"};
  };
  sources.stored = {{id("1.21.6"),
                     "h1-a",
                     "/r/toolchains/go1.21.6.linux-amd64/h1-a",
                     {"h1:a", 200, 3, 1'795'000'000, "proxy"}}};
  VolumeRecord volume;
  volume.source = "toolchains/go1.21.6.linux-amd64/h1-a/goroot";
  sources.volumes = {volume, volume};
  ToolchainState state;
  state.kind = ToolchainState::Kind::Fetching;
  state.bytes = 5;
  state.total_bytes = 10;
  sources.entries.push_back({{id("1.22.3"), {}}, state});
  state.reason = "NotFound";  // and is being tried again
  sources.entries.push_back({{id("1.23.1"), {}}, state});
  state.kind = ToolchainState::Kind::Failed;
  sources.entries.push_back({{id("1.24.1"), {}}, state});  // declared by nobody any more
  sources.entries.push_back({{id("1.23.1"), PinnedSum{"h1:p", "ns-uid"}}, state});
  auto environment = std::make_shared<EnvironmentRecord>();
  environment->versions = {id("1.22.3").version, id("1.23.1").version};
  sources.environments = {environment};
  auto collection = std::make_shared<CollectionState>();
  collection->inventory.environments["ns-uid/ci"] = {4096, 1};
  collection->disk = {1000, 400, 0, 0};
  // Looked at an hour after the last run, and told of later still.
  const std::chrono::system_clock::time_point now{std::chrono::seconds(sources.now)};
  collection->last_run = now - std::chrono::hours(2);
  collection->looked_at = now - std::chrono::hours(1);
  collection->problem = {{"DiskFull", "full"}};
  collection->inventory.cache_idle["ns-uid/ci"] = std::chrono::seconds(100);
  collection->explained.push_back({"u", collector::UnitKind::Toolchain, true, 7, "unused"});
  sources.collection = collection;

  const auto facts = node_cache_facts(sources);
  ASSERT_EQ(facts.toolchains.size(), 3U);
  EXPECT_EQ(facts.toolchains[0].volumes, 2U);
  EXPECT_EQ(facts.toolchains[0].last_used, 1'795'000'000);
  EXPECT_EQ(facts.toolchains[1].phase, ToolchainPhase::Fetching);
  EXPECT_EQ(facts.toolchains[1].total_bytes, 10U);
  EXPECT_EQ(facts.toolchains[2].phase, ToolchainPhase::Failed) << "until it goes right";
  ASSERT_EQ(facts.caches.size(), 1U);
  EXPECT_EQ(facts.caches[0].namespace_uid, "ns-uid");
  EXPECT_EQ(facts.caches[0].environment, "ci");
  EXPECT_EQ(facts.caches[0].last_used, sources.now - 3600 - 100);
  EXPECT_EQ(facts.problem->first, "DiskFull");
  EXPECT_TRUE(facts.decisions[0].removed);
  EXPECT_TRUE(facts.looked);
}

TEST(NodeCacheFactsTest, WhatWaitsIsMissing) {
  NodeCacheSources sources;
  const auto want = [](const char* version) {
    return ToolchainWant{{goenv::parse_version(version).value(), "linux", "amd64"}, {}};
  };
  auto environment = std::make_shared<EnvironmentRecord>();
  environment->versions = {want("1.22.3").id.version, want("1.23.1").id.version};
  sources.environments = {environment};
  sources.waiting.wants = {want("1.22.3"), want("1.23.1"), want("1.24.1")};
  sources.high_percent = 80;
  ToolchainState state;
  state.kind = ToolchainState::Kind::Failed;
  state.reason = "DiskFull";
  sources.entries.push_back({want("1.23.1"), state});
  const auto told = [&] {
    std::vector<std::string> out;
    const auto facts = node_cache_facts(sources);
    for (const auto& one : facts.toolchains) {
      out.push_back(goenv::to_string(one.id.version) + " " +
                    std::string(goenv::enum_name(one.phase)) + " " + one.reason);
    }
    return out;
  };
  EXPECT_THAT(told(), ElementsAre("1.23.1 Failed DiskFull", "1.22.3 Fetching "))
      << "in turn; 1.24.1 is declared by nobody any more";
  sources.waiting.held = true;
  EXPECT_THAT(told(), ElementsAre("1.22.3 Failed DiskAboveHighWatermark",
                                  "1.23.1 Failed DiskAboveHighWatermark"));
  EXPECT_THAT(node_cache_facts(sources).toolchains[0].message, HasSubstr("80 % full"));
  sources.entries[0].state.kind = ToolchainState::Kind::Fetching;
  sources.entries[0].state.reason.clear();
  EXPECT_THAT(told(), ElementsAre("1.23.1 Fetching ", "1.22.3 Failed DiskAboveHighWatermark"))
      << "a pod has asked for it";
}

}  // namespace
}  // namespace gobuildenv::agent
