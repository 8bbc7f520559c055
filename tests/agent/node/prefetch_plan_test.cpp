#include "agent/node/prefetch_plan.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace gobuildenv::agent {
namespace {

using Kind = ToolchainState::Kind;
using std::chrono::seconds;

constexpr std::uint64_t kMi = std::uint64_t{1} << 20U;
const kube::Clock::TimePoint kNow{seconds(1000)};

PrefetchCandidate want(unsigned minor, Kind kind = Kind::Absent, seconds retry_in = seconds(0)) {
  PrefetchCandidate out;
  out.want.id.version = goenv::parse_version("1." + std::to_string(minor) + ".1").value();
  out.state.kind = kind;
  out.state.retry_at = kNow + retry_in;
  return out;
}

std::vector<PrefetchCandidate> wants(unsigned count) {
  std::vector<PrefetchCandidate> out;
  for (unsigned i = 0; i < count; ++i) out.push_back(want(i));
  return out;
}

/// Of 100,000 MiB, the high watermark at 75 %.
collector::Disk used(std::uint64_t mib, std::uint64_t inodes = 0) {
  return {100'000 * kMi, (100'000 - mib) * kMi, 1'000'000, 1'000'000 - inodes};
}

struct Case {
  const char* name;
  std::vector<PrefetchCandidate> wanted;
  std::size_t in_flight;
  std::optional<collector::Disk> disk;
  std::size_t begin;
  std::size_t later;
  bool held;
};

class PlanPrefetch : public ::testing::TestWithParam<Case> {};

TEST_P(PlanPrefetch, As) {
  const Case& given = GetParam();
  const PrefetchPlan plan = plan_prefetch({given.wanted, given.in_flight, given.disk, kNow}, {});
  EXPECT_EQ(plan.begin.size(), given.begin);
  EXPECT_EQ(plan.later.size(), given.later);
  EXPECT_EQ(plan.held, given.held);
}

const std::vector<PrefetchCandidate> kOne{want(22)};

INSTANTIATE_TEST_SUITE_P(
    Of, PlanPrefetch,
    ::testing::Values(
        Case{"Nothing", {}, 0, used(99'000), 0, 0, false},
        Case{"Room", kOne, 0, used(0), 1, 0, false},
        Case{"AtTheMark", kOne, 0, used(75'000), 1, 0, false},
        Case{"AboveTheMark", kOne, 0, used(75'001), 0, 1, true},
        Case{"AboveTheMarkOfInodes", kOne, 0, used(0, 750'001), 0, 1, true},
        Case{"Above, WhileFetching", kOne, 2, used(75'001), 0, 1, true},
        Case{"InodesMadeAsNeeded", kOne, 0, collector::Disk{100, 100, 0, 0}, 1, 0, false},
        Case{"DiskUnknown", kOne, 0, std::nullopt, 1, 0, false},
        Case{"WhatIsFetchedWillFillIt", kOne, 1, used(74'800), 0, 1, false},
        Case{"RoomBesideWhatIsFetched", kOne, 1, used(74'700), 1, 0, false},
        Case{"RoomForTwo", wants(5), 0, used(74'700), 2, 3, false},
        Case{"InodesForTwo", wants(5), 0, used(0, 735'000), 2, 3, false},
        Case{"AFewAtATime", wants(100), 0, used(0), kMostFetchedAhead, 100 - kMostFetchedAhead,
             false},
        Case{"PodsFetchesCount", wants(100), 4, used(0), kMostFetchedAhead - 4,
             104 - kMostFetchedAhead, false},
        Case{"ReadyAndFetchingAreDone",
             {want(20, Kind::Ready), want(21, Kind::Fetching)},
             1,
             used(99'000),
             0,
             0,
             false},
        Case{"FailedAndItsTimeHasCome", {want(22, Kind::Failed)}, 0, used(0), 1, 0, false},
        Case{"FailedJustNow", {want(22, Kind::Failed, seconds(1))}, 0, used(0), 0, 0, false},
        Case{"FailedJustNowTellsOfThat",
             {want(22, Kind::Failed, seconds(1))},
             0,
             used(99'000),
             0,
             0,
             false}),
    [](const auto& one) {
      std::string name = one.param.name;
      std::erase_if(name, [](char c) { return c == ',' || c == ' '; });
      return name;
    });

/// A hundred releases on a disk that has room for ten: what is there at the end.
TEST(PlanPrefetchTest, EndsOneToolchainAboveTheHighWatermark) {
  std::vector<PrefetchCandidate> wanted = wants(100);
  std::uint64_t mib = 75'000 - 10 * 250;
  PrefetchPlan plan;
  for (int turns = 0; turns < 200; ++turns) {
    plan = plan_prefetch({wanted, 0, used(mib), kNow}, {});
    for (const ToolchainWant& one : plan.begin) {
      mib += 250;
      for (auto& [id, state] : wanted) {
        if (id == one) state.kind = Kind::Ready;
      }
    }
  }
  EXPECT_EQ(mib, 75'000U + 250);
  EXPECT_EQ(plan.later.size(), 100U - 11);
  EXPECT_TRUE(plan.held);
}

}  // namespace
}  // namespace gobuildenv::agent
