#include "crds/node_cache.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <nlohmann/json.hpp>

namespace gobuildenv::crds {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kMi = std::int64_t{1} << 20;
constexpr std::int64_t kHour = 3600;

NodeCacheStatus sample() {
  NodeCacheStatus s;
  s.agent_version = "0.3.0";
  s.toolchains_summary = "1.22.3, 1.23.1 (Failed)";
  s.size = 1500 * kMi;
  s.toolchains.push_back({"1.22.3", "linux", "amd64", "h1-abc", ToolchainPhase::Ready,
                          "h1:abc=", 226 * kMi, 0, "", "", 2, 0});
  s.toolchains.push_back({"1.23.1", "linux", "amd64", "", ToolchainPhase::Failed, "", 0, 0,
                          "ProxyUnreachable", "said \"no\"", 0, 0});
  s.toolchains.push_back(
      {"1.24.0", "linux", "amd64", "", ToolchainPhase::Fetching, "", 0, 40, "", "", 0, 0});
  s.caches.push_back({"uid-1", "ci", 12 * 1024 * kMi, 500'000 * kHour});
  s.disk_size = 100 * 1024 * kMi;
  s.disk_used_percent = 43;
  s.inodes_used_percent = 3;
  s.last_collected = 1'795'345'130;
  s.collected = 300 * kMi;
  s.reclaimed = 2000 * kMi;
  s.decisions.push_back({"toolchains/go1.21.6.linux-amd64/h1-x", true, 210 * kMi, "unused"});
  s.conditions.push_back(
      {"Ready", ConditionStatus::True, 0, "2026-11-22T10:58:50Z", "Serving", "serves"});
  return s;
}

TEST(NodeCache, SurvivesTheRoundTrip) {
  const NodeCacheStatus status = sample();
  const auto back = decode_node_cache(encode_node_cache_status("node-1", "u-1", status));
  ASSERT_TRUE(back) << describe(back.error());
  EXPECT_EQ(back->name, "node-1");
  EXPECT_EQ(back->uid, "u-1");
  EXPECT_EQ(back->status, status);
}

TEST(NodeCache, NothingKnownIsNothingWritten) {
  const auto json = nlohmann::json::parse(encode_node_cache_status("n", "", {}));
  EXPECT_EQ(json["status"], nlohmann::json::parse(R"({"summary":{"size":"0"}})"));
  EXPECT_FALSE(json["metadata"].contains("uid"));
}

TEST(NodeCache, IsOwnedByItsNode) {
  const auto json = nlohmann::json::parse(encode_node_cache("n", "node-uid"));
  EXPECT_EQ(json["apiVersion"], "gobuildenv.dev/v1alpha1");
  EXPECT_EQ(json["kind"], "GoNodeCache");
  EXPECT_EQ(
      json["metadata"]["ownerReferences"],
      nlohmann::json::parse(R"([{"apiVersion":"v1","kind":"Node","name":"n","uid":"node-uid"}])"));
  EXPECT_EQ(decode_node_cache(json.dump())->owner_uid, "node-uid");
}

TEST(NodeCache, SizesAreShort) {
  for (const auto& [bytes, text] :
       std::vector<std::pair<std::int64_t, std::string>>{{0, "0"},
                                                         {400'000, "0"},
                                                         {600'000, "1Mi"},
                                                         {226 * kMi + 17, "226Mi"},
                                                         {1024 * kMi, "1Gi"},
                                                         {10239 * kMi, "10239Mi"},
                                                         {10240 * kMi + 1, "10Gi"},
                                                         {100 * 1024 * kMi + 700 * kMi, "101Gi"}}) {
    EXPECT_EQ(format_size(bytes), text) << bytes;
  }
}

TEST(NodeCache, WhatIsNoneIsNamed) {
  EXPECT_FALSE(decode_node_cache("[]"));
  const auto bad = decode_node_cache(R"({"status":{"disk":{"size":"much"},"toolchains":[{}, 7]}})");
  ASSERT_FALSE(bad);
  EXPECT_THAT(describe(bad.error()), HasSubstr("status.disk.size: \"much\": must be a quantity"));
  EXPECT_THAT(describe(bad.error()), HasSubstr("status.toolchains[1]"));
}

TEST(NodeCacheProperty, AnyTextIsWrittenAsJson) {
  EXPECT_TRUE(rc::check("encode, decode, and it is the same", [] {
    const auto word = rc::gen::container<std::string>(rc::gen::inRange<char>(1, 127));
    NodeCacheStatus s;
    for (const auto& w : *rc::gen::container<std::vector<std::string>>(word)) {
      s.toolchains.push_back({w, w, w, w,
                              *rc::gen::element(ToolchainPhase::Ready, ToolchainPhase::Fetching,
                                                ToolchainPhase::Failed),
                              w, *rc::gen::inRange<std::int64_t>(0, 5000) * kMi,
                              *rc::gen::inRange(0, 101), w, w, *rc::gen::inRange(0, 9),
                              *rc::gen::inRange<std::int64_t>(0, 4'000'000'000)});
      s.caches.push_back({w, w, 0, 0});
      s.conditions.push_back({w, ConditionStatus::False, 0, w, w, w});
      s.decisions.push_back({w, false, 0, w});
    }
    const auto back = decode_node_cache(encode_node_cache_status("n", "u", s));
    RC_ASSERT(back.has_value());
    RC_ASSERT(back->status == s);
  }));
}

}  // namespace
}  // namespace gobuildenv::crds
