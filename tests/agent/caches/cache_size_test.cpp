// What promotions fill, the collector leaves: both count against one maxSize.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "agent/caches/node_caches.hpp"
#include "agent/collector/collector.hpp"
#include "tests/agent/caches/fixture.hpp"
#include "tests/agent/csi/calls.hpp"

namespace gobuildenv::agent {
namespace {

using namespace gobuildenv::agent::testing;  // NOLINT(google-build-using-namespace)

constexpr std::int64_t kMaxSize = std::int64_t{4} << 20U;

struct NoRoots final : collector::RootSource {
  std::vector<collector::Root> roots() const override { return {}; }
};

class CacheSize : public Layers {
 protected:
  CacheSize() {
    declared_.modules = goenv::CacheScope::Environment;
    declared_.build = goenv::CacheScope::Environment;
    declared_.trusted_service_accounts = {"releaser"};
    declared_.max_size_bytes = kMaxSize;
    NodeCachesOptions options;
    options.root = root_.path();
    caches_ =
        NodeCaches::open(
            options,
            {[this](const auto&, const auto&) { return std::optional<goenv::Cache>(declared_); },
             [](const auto&) { return "ns-uid"; }},
            clock_, [](const PromotionResult& one) { EXPECT_EQ(one.why, ""); })
            .value();
    collector_ = std::make_unique<collector::Collector>(
        collector::Collector::open({.root = root_.path(), .clock = [this] { return later(); }})
            .value());
  }

  [[nodiscard]] collector::ClockReading later() const {
    collector::ClockReading out = collector::read_clocks();
    out.wall_ns += std::chrono::nanoseconds(passed_).count();
    out.since_boot += passed_;
    return out;
  }

  /// A trusted pod that writes more of a kind than the limit allows both.
  void release(const std::string& id, VolumeKind kind) {
    VolumeRecord record;
    record.volume_id = id;
    record.kind = kind;
    record.pod = {"team-a", "p", kUid, "releaser"};
    record.environment = "ci";
    record.target = target_of(kUid, id);
    record.source = "pods/" + id + "/upper";
    record.cache = kind == VolumeKind::Build ? kBuilds : kModules;
    for (int i = 0; i < 45; ++i) {
      const std::string name = id + "-" + std::to_string(i);
      const std::string upper = root_.path(record.source);
      if (kind == VolumeKind::Build) {
        TestBuild{name, name + std::string(100'000, 'x')}.write(upper);
      } else {
        TestModule module{"example.com/" + name, "v1.0.0"};
        module.files["large.go"] = std::string(100'000, 'x');
        module.write(upper);
      }
    }
    ASSERT_TRUE(caches_->hand_over(record));
  }

  collector::RunReport collect(std::int64_t max_bytes) {
    collector::Limits limits;
    limits.node.max_bytes = static_cast<std::uint64_t>(max_bytes);
    limits.high_percent = limits.low_percent = 100;
    auto report = collector_->run(NoRoots(), limits);
    EXPECT_TRUE(report.has_value());
    return report ? *std::move(report) : collector::RunReport();
  }
  static std::size_t taken_for_size(const collector::RunReport& report) {
    std::size_t out = 0;
    for (const auto& step : report.plan.steps) {
      out += step.reason == collector::Reason::EnvironmentSize ? 1 : 0;
    }
    return out;
  }

  goenv::Cache declared_;
  kube::FakeClock clock_;
  collector::seconds passed_{0};
  std::unique_ptr<NodeCaches> caches_;
  std::unique_ptr<collector::Collector> collector_;
};

TEST_F(CacheSize, WhatPromotionsFillTheCollectorLeaves) {
  for (const std::string turn : {"a", "b", "c"}) {
    release(turn + "-modules", VolumeKind::Modules);
    release(turn + "-builds", VolumeKind::Build);
    EXPECT_EQ(caches_->promote_pending(), 0U);
    static_cast<void>(collect(kMaxSize));
    passed_ += std::chrono::hours(10);  // nothing is too young to go
    EXPECT_EQ(taken_for_size(collect(kMaxSize)), 0U) << turn;
    for (const char* cache : {kModules, kBuilds}) {
      EXPECT_GT(content(root_.path(newest(cache))).size(), 10U) << cache;
    }
  }
  const auto report = collect(kMaxSize);
  EXPECT_GT(report.inventory.environments.at("ns-uid/ci").bytes, kMaxSize / 2);
  EXPECT_GT(taken_for_size(collect(kMaxSize / 2)), 0U) << "it would take what is too much";
}

}  // namespace
}  // namespace gobuildenv::agent
