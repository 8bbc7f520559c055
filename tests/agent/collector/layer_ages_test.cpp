// What lies in a layer leaves no trace when it is used, so a layer ages as a whole.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "agent/collector/collector.hpp"
#include "tests/agent/collector/node_root.hpp"

namespace gobuildenv::agent::collector {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using testing::exists;
using testing::FixedRoots;
using testing::kBuilds;
using testing::kModules;

class LayerAges : public ::testing::Test {
 protected:
  LayerAges() {
    testing::make_module(at(kModules), "example.com/a", "v1.0.0");
    testing::make_build(at(kBuilds), "0aaa", "0baa", clock_.wall);
    start();
  }
  [[nodiscard]] std::string at(const std::string& name) const { return folder_.path(name); }
  /// As after a restart of the agent.
  void start() { collector_.emplace(testing::open_collector(folder_.path(), clock_).value()); }
  RunReport run(std::vector<Root> roots = {}) {
    auto report = collector_->run(FixedRoots(std::move(roots)), limits_);
    EXPECT_TRUE(report.has_value());
    return report ? *std::move(report) : RunReport();
  }
  /// A pod that has both caches from one run of the collector to the next.
  void mounted() { static_cast<void>(run({{kModules, "volume 1"}, {kBuilds, "volume 2"}})); }
  [[nodiscard]] bool has_module() const { return exists(at(kModules) + "/example.com/a@v1.0.0"); }
  [[nodiscard]] bool has_build() const {
    return exists(at(kBuilds) + "/0a/" + testing::hash_of("0aaa") + "-a");
  }
  /// What a run says of the build entries.
  static std::string said(const RunReport& report, const Limits& limits) {
    for (const auto* decisions : {&report.plan.steps, &report.plan.stays}) {
      for (const Decision& decision : *decisions) {
        if (report.inventory.units[decision.unit].kind != UnitKind::Builds) continue;
        return explain(decision, report.inventory, limits, report.disk);
      }
    }
    return "";
  }

  testing::TempFolder folder_;
  testing::TestClock clock_;
  Limits limits_ = testing::without_watermarks();
  std::optional<Collector> collector_;
};

TEST_F(LayerAges, WhatIsOldStaysWhileItsCacheIsUsed) {
  mounted();
  for (int day = 0; day < 8; ++day) {
    clock_.pass(hours(24));
    mounted();
    start();
  }
  clock_.pass(hours(24));
  const RunReport day_after = run();
  EXPECT_TRUE(has_build()) << "nine days old, and had by a pod yesterday";
  EXPECT_TRUE(has_module());
  EXPECT_THAT(day_after.plan.steps, ::testing::IsEmpty());
  EXPECT_THAT(said(day_after, limits_), ::testing::HasSubstr("used 1d ago"));

  // What nobody has mounted grows older, also while the agent is away.
  for (int day = 0; day < 3; ++day) {
    clock_.pass(hours(44));
    start();
    static_cast<void>(run());
    EXPECT_TRUE(has_build());
    EXPECT_TRUE(has_module());
  }
  clock_.pass(hours(12));
  start();
  const RunReport week_after = run();
  EXPECT_FALSE(has_build());
  EXPECT_FALSE(has_module());
  EXPECT_THAT(said(week_after, limits_), ::testing::HasSubstr("unused for 7d, kept for 7d"));
}

/// Pods that come and go between two runs of the collector: their volumes tell of the use.
TEST_F(LayerAges, AMountThatNoRunSawIsAUse) {
  static_cast<void>(run());
  clock_.pass(hours(24) * 6);
  collector_->used(kModules);
  collector_->used(kBuilds);
  static_cast<void>(collector_->measure());
  clock_.pass(hours(24) * 6);
  static_cast<void>(run());
  start();
  static_cast<void>(run());
  EXPECT_TRUE(has_build());
  EXPECT_TRUE(has_module());
  clock_.pass(hours(24));
  static_cast<void>(run());
  EXPECT_FALSE(has_build());
  EXPECT_FALSE(has_module());
}

/// Room is needed all the same, and then the entries' own ages are all there is to go by.
TEST_F(LayerAges, ALimitOfSizeTakesFromAUsedCache) {
  static_cast<void>(run());
  clock_.pass(hours(24) * 8);
  collector_->used(kBuilds);
  clock_.pass(minutes(10));
  limits_.node.max_bytes = 1;
  const RunReport report = run();
  EXPECT_FALSE(has_build());
  EXPECT_THAT(said(report, limits_), ::testing::HasSubstr("unused for 8d"));
}

}  // namespace
}  // namespace gobuildenv::agent::collector
