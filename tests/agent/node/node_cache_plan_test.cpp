#include "agent/node/node_cache_plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "node_cache_samples.hpp"

namespace gobuildenv::agent {
namespace {

using crds::NodeCacheStatus;
using crds::ToolchainPhase;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::fact;
using testing::node_facts;
using TimePoint = kube::Clock::TimePoint;
using Duration = kube::Clock::Duration;

constexpr std::int64_t kMi = std::int64_t{1} << 20;

NodeCacheStatus sample() {
  auto facts = node_facts();
  facts.toolchains = {fact("1.21.6"), fact("1.22.3", ToolchainPhase::Fetching)};
  facts.caches = {{"uid", "ci", std::uint64_t{1000} << 20U, facts.now}};
  return decide_node_cache(facts, {});
}

TEST(Compare, TellsNewsFromNoise) {
  struct Case {
    const char* what;
    std::function<void(NodeCacheStatus&)> change;
    Urgency urgency;
  };
  for (const Case& c : std::vector<Case>{
           {"nothing", [](auto&) {}, Urgency::None},
           {"small growth", [](auto& s) { s.caches[0].size += 90 * kMi; }, Urgency::None},
           {"growth", [](auto& s) { s.caches[0].size += 110 * kMi; }, Urgency::Drift},
           {"another cache",
            [](auto& s) {
              s.caches.push_back({"u", "v", 1, 0});
            },
            Urgency::Drift},
           {"used an hour later", [](auto& s) { s.toolchains[0].last_used += 3600; },
            Urgency::None},
           {"used hours later", [](auto& s) { s.toolchains[0].last_used += 7200; }, Urgency::Drift},
           {"one more volume", [](auto& s) { ++s.toolchains[0].volumes; }, Urgency::Drift},
           {"disk a bit fuller", [](auto& s) { s.disk_used_percent += 4; }, Urgency::None},
           {"disk fuller", [](auto& s) { s.disk_used_percent += 5; }, Urgency::Drift},
           {"collected", [](auto& s) { s.last_collected = 7; }, Urgency::Drift},
           {"reclaimed alone", [](auto& s) { s.reclaimed = 7; }, Urgency::None},
           {"progress", [](auto& s) { s.toolchains[1].progress += 24; }, Urgency::None},
           {"much progress", [](auto& s) { s.toolchains[1].progress += 25; }, Urgency::Progress},
           {"fetched", [](auto& s) { s.toolchains[1].state = ToolchainPhase::Ready; },
            Urgency::Now},
           {"removed", [](auto& s) { s.toolchains.pop_back(); }, Urgency::Now},
           {"reason", [](auto& s) { s.toolchains[1].reason = "NotFound"; }, Urgency::Now},
           {"message", [](auto& s) { s.toolchains[1].message = "now"; }, Urgency::None},
           {"condition", [](auto& s) { s.conditions[0].status = crds::ConditionStatus::False; },
            Urgency::Now},
           {"condition gone", [](auto& s) { s.conditions.pop_back(); }, Urgency::Now},
           {"its message", [](auto& s) { s.conditions[0].message = "x"; }, Urgency::None},
           {"agent", [](auto& s) { s.agent_version = "0.4.0"; }, Urgency::Drift},
       }) {
    NodeCacheStatus wanted = sample();
    c.change(wanted);
    EXPECT_EQ(compare(sample(), wanted), c.urgency) << c.what;
  }
}

TEST(Compare, WhatWasWrittenAndReadAgainIsTheSame) {
  const auto status = sample();
  const auto back = crds::decode_node_cache(crds::encode_node_cache_status("n", "u", status));
  EXPECT_EQ(compare(back->status, status), Urgency::None);
}

TEST(WritePlanTest, WaitsItsPartOfTheSpreadAfterTheLastWrite) {
  TimePoint now{hours(1)};
  WritePlan plan([] { return 0.5; }, now);
  plan.set_rates(WriteRates::for_nodes(1000));  // 10 s
  EXPECT_FALSE(plan.due(Urgency::None, now));
  EXPECT_FALSE(plan.next());
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(plan.due(Urgency::Now, now));
    const auto wait = seconds(i == 0 ? 5 : 15);  // the spread since the last write, and its half
    EXPECT_EQ(*plan.next(), now + wait) << i;
    now += wait;
    EXPECT_TRUE(plan.due(Urgency::Now, now));
    plan.wrote(now);
    EXPECT_FALSE(plan.due(Urgency::None, now));
  }
  EXPECT_FALSE(plan.due(Urgency::Now, now));
  EXPECT_FALSE(plan.due(Urgency::None, now)) << "it was undone: nothing to write";
  EXPECT_FALSE(plan.next());
}

TEST(WritePlanTest, WhatMattersMoreComesSooner) {
  TimePoint now{hours(1)};
  WritePlan plan([] { return 0.0; }, now);
  plan.wrote(now);
  EXPECT_FALSE(plan.due(Urgency::Drift, now));
  EXPECT_EQ(*plan.next(), now + seconds(60));
  EXPECT_FALSE(plan.due(Urgency::Progress, now));
  EXPECT_EQ(*plan.next(), now + seconds(5));
  EXPECT_FALSE(plan.due(Urgency::Now, now));
  EXPECT_EQ(*plan.next(), now + milliseconds(500));
  EXPECT_TRUE(plan.due(Urgency::Now, now + milliseconds(500)));
}

TEST(WritePlanTest, ThreeWritesAreSavedUp) {
  TimePoint now{hours(1)};
  WritePlan plan([] { return 0.0; }, now);  // of one node: 0.5 s between writes, 10 s for another
  const auto write = [&] {
    const auto began = now;
    while (!plan.due(Urgency::Now, now)) now = *plan.next();
    plan.wrote(now);
    return now - began;
  };
  for (int i = 0; i < 3; ++i) EXPECT_LE(write(), milliseconds(500));
  EXPECT_GE(write(), seconds(8));
  EXPECT_GE(write(), seconds(9));
  now += seconds(60);
  EXPECT_LE(write(), milliseconds(500));
}

TEST(WritePlanTest, FailuresBackOff) {
  TimePoint now{hours(1)};
  WritePlan plan([] { return 0.999; }, now);
  Duration last{};
  for (int i = 0; i < 12; ++i) {
    while (!plan.due(Urgency::Now, now)) now = *plan.next();
    plan.failed(now);
    ASSERT_FALSE(plan.due(Urgency::Now, now));
    const Duration wait = *plan.next() - now;
    EXPECT_GE(wait, last);
    EXPECT_LE(wait, seconds(300));
    last = wait;
  }
  EXPECT_GT(last, seconds(200));
}

/// Many nodes with one clock. What each node would have to write is given by the test.
class Simulation {
 public:
  explicit Simulation(std::size_t nodes) {
    const WriteRates rates = WriteRates::for_nodes(nodes);
    for (std::size_t i = 0; i < nodes; ++i) {
      plans_.emplace_back([this] { return uniform_(random_); }, now_);
      plans_.back().set_rates(rates);
    }
    wanted_.resize(nodes, Urgency::None);
  }
  /// `change(node, second)` gives what a node wants from now on; None: nothing new. A write
  /// satisfies it.
  void run(int for_seconds, const std::function<Urgency(std::size_t, int)>& change) {
    for (int second = 0; second < for_seconds; ++second, now_ += seconds(1)) {
      int writes = 0;
      for (std::size_t i = 0; i < plans_.size(); ++i) {
        wanted_[i] = std::max(wanted_[i], change(i, second));
        if (!plans_[i].due(wanted_[i], now_)) continue;
        plans_[i].wrote(now_);
        wanted_[i] = Urgency::None;
        ++writes;
      }
      per_second_.push_back(writes);
    }
  }
  [[nodiscard]] int most() const {
    return *std::max_element(per_second_.begin(), per_second_.end());
  }
  [[nodiscard]] int total() const {
    int out = 0;
    for (const int n : per_second_) out += n;
    return out;
  }
  void forget() { per_second_.clear(); }
  double uniform() { return uniform_(random_); }

 private:
  TimePoint now_{hours(1)};
  std::mt19937 random_{20'261'122};
  std::uniform_real_distribution<double> uniform_{0, 1};
  std::vector<WritePlan> plans_;
  std::vector<Urgency> wanted_;
  std::vector<int> per_second_;
};

/// One write in 10 ms of the cluster's, give or take five deviations of chance.
constexpr int kMostASecond = 100 + 50;

TEST(WriteRate, ANewToolchainOnTenThousandNodesIsAWaveOfAHundredASecond) {
  Simulation cluster(10'000);
  // All see the environment at once; each begins to fetch, and is done after 8 to 40 seconds.
  std::vector<int> done(10'000);
  for (int& at : done) at = 8 + static_cast<int>(cluster.uniform() * 32);
  cluster.run(300, [&](std::size_t node, int second) {
    return second == 0 || second == done[node] ? Urgency::Now : Urgency::None;
  });
  std::printf("new toolchain: %d writes, at most %d a second\n", cluster.total(), cluster.most());
  EXPECT_LE(cluster.most(), kMostASecond);
  EXPECT_GE(cluster.total(), 10'000);
  EXPECT_LE(cluster.total(), 20'000);
  cluster.forget();
  cluster.run(600, [](auto, auto) { return Urgency::None; });
  EXPECT_EQ(cluster.total(), 0) << "steady state";
}

TEST(WriteRate, ABusyDayIsAFewWritesASecond) {
  Simulation cluster(10'000);
  // Builds come and go: sizes, uses and disks drift all the time, a toolchain is collected or
  // fetched somewhere every second.
  cluster.run(1800, [&](std::size_t node, int second) {
    if (node == static_cast<std::size_t>(second) % 10'000) return Urgency::Now;
    return Urgency::Drift;
  });
  std::printf("busy: %.1f writes a second, at most %d\n", cluster.total() / 1800.0, cluster.most());
  EXPECT_LE(cluster.total() / 1800.0, 20);
  EXPECT_LE(cluster.most(), kMostASecond);
}

TEST(WriteRate, NodesThatNeverSettleAreHeldToTheRate) {
  for (const std::size_t nodes : {1U, 100U, 10'000U}) {
    Simulation cluster(nodes);
    cluster.run(1800, [](auto, auto) { return Urgency::Now; });
    const WriteRates rates = WriteRates::for_nodes(nodes);
    const double each =
        WritePlan::kBurst + 1800 / std::chrono::duration<double>(rates.refill).count();
    EXPECT_LE(cluster.total(), std::ceil(static_cast<double>(nodes) * each)) << nodes;
    EXPECT_LE(cluster.most(), kMostASecond) << nodes;
    std::printf("%zu nodes, all changing every second: %.1f writes a second, at most %d\n", nodes,
                cluster.total() / 1800.0, cluster.most());
  }
}

}  // namespace
}  // namespace gobuildenv::agent
