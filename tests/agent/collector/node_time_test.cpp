#include "agent/collector/node_time.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "agent/collector/ages.hpp"

namespace gobuildenv::agent::collector {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kStart = 1'800'000'000;
constexpr std::int64_t kYear = 365 * 86'400;

/// A node whose clock can be set; true time passes beside it.
struct Node {
  std::int64_t true_time = 0;
  std::int64_t wall = kStart;
  std::int64_t since_boot = 100;
  int boot = 0;

  void pass(std::int64_t by) {
    true_time += by;
    wall += by;
    since_boot += by;
  }
  void reboot(std::int64_t off) {
    wall += off;
    since_boot = 5;
    boot += 1;
  }
  [[nodiscard]] ClockReading read() const {
    return {wall * kSecond, seconds(since_boot), std::to_string(boot)};
  }
};

TEST(NodeTime, RunsWithTheBootClock) {
  Node node;
  NodeTime time;
  time.advance(node.read());
  EXPECT_EQ(time.now(), seconds(0));
  node.pass(3600);
  time.advance(node.read());
  EXPECT_EQ(time.now(), seconds(3600));
  EXPECT_EQ(time.of_stamp((kStart + 600) * kSecond), seconds(600));
  EXPECT_EQ(time.segments().size(), 1U);
}

TEST(NodeTime, AYearBackAndForthChangesNoAge) {
  for (const std::int64_t jump : {-kYear, kYear}) {
    Node node;
    NodeTime time;
    time.advance(node.read());
    node.pass(3600);
    time.advance(node.read());
    const std::int64_t stamp = node.wall - 600;
    node.wall += jump;
    node.pass(60);
    time.advance(node.read());
    EXPECT_EQ(time.now(), seconds(3660)) << jump;
    EXPECT_EQ(time.of_stamp(stamp * kSecond), seconds(3600 - 600)) << jump;
    // Made after the jump, before anybody looked.
    EXPECT_GE(time.of_stamp((node.wall - 30) * kSecond), seconds(3600)) << jump;
    node.pass(7200);
    time.advance(node.read());
    const auto after = time.of_stamp((node.wall - 3600) * kSecond);
    ASSERT_TRUE(after.has_value());
    EXPECT_EQ(time.now() - *after, seconds(3600)) << jump;
  }
}

TEST(NodeTime, StandsStillWhileTheNodeIsOff) {
  Node node;
  NodeTime time;
  time.advance(node.read());
  node.pass(100);
  time.advance(node.read());
  node.reboot(30 * 86'400);
  time.advance(node.read());
  EXPECT_EQ(time.now(), seconds(100));
  EXPECT_EQ(time.of_stamp((kStart + 50) * kSecond), seconds(50));
  EXPECT_EQ(time.of_stamp((node.wall - 86'400) * kSecond), seconds(100));
}

/// The clock was set back, so a wall time comes twice: the second time nobody watched, and then the
/// node was started again.
TEST(NodeTime, WhatNobodySawBeforeAStartIsNotOfAnEarlierTime) {
  Node node;
  NodeTime time;
  time.advance(node.read());
  node.pass(5 * 86'400);
  time.advance(node.read());
  node.wall -= 5 * 86'400;
  time.advance(node.read());
  node.pass(2 * 86'400);
  const std::int64_t stamp = node.wall;
  node.reboot(3600);
  time.advance(node.read());
  EXPECT_EQ(time.of_stamp(stamp * kSecond), time.now()) << "it is no older than the start";
}

TEST(NodeTime, TheFutureSaysNothing) {
  Node node;
  NodeTime time;
  EXPECT_FALSE(time.of_stamp(0).has_value());
  time.advance(node.read());
  EXPECT_FALSE(time.of_stamp((kStart + 60) * kSecond).has_value());
  EXPECT_EQ(time.of_stamp((kStart - kYear) * kSecond), seconds(0));
}

TEST(NodeTime, SurvivesARestartOfTheAgent) {
  Node node;
  AgeBook ages;
  ages.time.advance(node.read());
  static_cast<void>(ages.observe("unit", {}));
  node.pass(7200);
  ages.time.advance(node.read());
  EXPECT_EQ(ages.idle("unit"), seconds(7200));
  auto again = AgeBook::from_json(ages.to_json());
  ASSERT_TRUE(again.has_value()) << again.error();
  EXPECT_EQ(again->ages(), ages.ages());
  EXPECT_EQ(again->time.segments(), ages.time.segments());
  node.pass(100);
  again->time.advance(node.read());
  EXPECT_EQ(again->idle("unit"), seconds(7300));
}

TEST(NodeTime, DamagedSegmentsAreDropped) {
  const Segment good{seconds(10), seconds(20), seconds(100), seconds(110)};
  const Segment backwards{seconds(5), seconds(1), seconds(0), seconds(9)};
  const Segment absurd{seconds(0), seconds(5), seconds(INT64_MIN), seconds(9)};
  for (const Segment& bad : {backwards, absurd}) {
    const NodeTime time({bad, good}, seconds(1), "b");
    EXPECT_EQ(time.segments(), std::vector<Segment>{good});
  }
}

/// Whatever the clock does and whenever somebody looks, no age is above the true one.
TEST(NodeTimeProperty, NeverOlderThanTrue) {
  ASSERT_TRUE(rc::check("idle times are not overestimated", [] {
    Node node;
    NodeTime time;
    time.advance(node.read());
    struct Stamp {
      std::int64_t wall;
      std::int64_t true_time;
    };
    std::vector<Stamp> stamps;
    const int steps = *rc::gen::inRange(1, 60);
    for (int i = 0; i < steps; ++i) {
      switch (*rc::gen::inRange(0, 6)) {
        case 0:
          node.wall += *rc::gen::inRange<std::int64_t>(-2 * kYear, 2 * kYear);
          time.advance(node.read());
          break;
        case 1:
          node.reboot(*rc::gen::inRange<std::int64_t>(0, 40 * 86'400));
          time.advance(node.read());
          break;
        case 2:
          stamps.push_back({node.wall, node.true_time});
          break;
        default:
          node.pass(*rc::gen::inRange<std::int64_t>(0, 2 * 86'400));
          if (*rc::gen::inRange(0, 3) > 0) time.advance(node.read());
      }
    }
    time.advance(node.read());
    for (const Stamp& stamp : stamps) {
      const auto at = time.of_stamp(stamp.wall * kSecond);
      if (!at) continue;
      RC_ASSERT((time.now() - *at).count() <= node.true_time - stamp.true_time + 6);
    }
  }));
}

TEST(Ages, NewUnitsAreYoung) {
  Node node;
  AgeBook ages;
  ages.time.advance(node.read());
  node.pass(86'400);
  ages.time.advance(node.read());
  static_cast<void>(ages.observe("unit", {.stamp = (kStart - kYear) * kSecond}));
  EXPECT_EQ(ages.idle("unit"), seconds(0));
  EXPECT_EQ(ages.idle("never seen"), seconds(0));
}

TEST(Ages, AUseMakesYoung) {
  Node node;
  AgeBook ages;
  ages.time.advance(node.read());
  const std::int64_t first = (kStart - 10) * kSecond;
  static_cast<void>(ages.observe("unit", {.stamp = first}));
  node.pass(10'000);
  ages.time.advance(node.read());
  static_cast<void>(ages.observe("unit", {.stamp = first}));
  EXPECT_EQ(ages.idle("unit"), seconds(10'000));
  EXPECT_EQ(ages.ages().at("unit").uses, 1U);
  static_cast<void>(ages.observe("unit", {.stamp = (node.wall - 4000) * kSecond}));
  EXPECT_EQ(ages.idle("unit"), seconds(4000));
  EXPECT_EQ(ages.ages().at("unit").uses, 2U);
  static_cast<void>(ages.observe("unit", {.in_use = true}));
  EXPECT_EQ(ages.idle("unit"), seconds(0));
}

TEST(Ages, HoweverLongARootHoldsItThatIsOneUse) {
  Node node;
  AgeBook ages;
  ages.time.advance(node.read());
  static_cast<void>(ages.observe("unit", {}));
  for (int run = 0; run < 9; ++run) {
    node.pass(300);
    ages.time.advance(node.read());
    static_cast<void>(ages.observe("unit", {.in_use = true}));
    EXPECT_EQ(ages.idle("unit"), seconds(0));
  }
  EXPECT_EQ(ages.ages().at("unit").uses, 2U);
  static_cast<void>(ages.observe("unit", {}));
  static_cast<void>(ages.observe("unit", {.in_use = true}));
  EXPECT_EQ(ages.ages().at("unit").uses, 3U);
}

TEST(Ages, AnOlderStampIsAUseAfterTheClockWasSetBack) {
  Node node;
  AgeBook ages;
  ages.time.advance(node.read());
  static_cast<void>(ages.observe("unit", {.stamp = kStart * kSecond}));
  node.pass(10'000);
  ages.time.advance(node.read());
  node.wall -= kYear;
  node.pass(100);
  ages.time.advance(node.read());
  static_cast<void>(ages.observe("unit", {.stamp = (node.wall - 50) * kSecond}));
  EXPECT_LE(ages.idle("unit"), seconds(106));
}

TEST(Ages, TextsThatAreNoAges) {
  for (const char* text : {"", "{", "[]", "{}", R"({"segments":[[1]],"sinceBoot":1,"bootID":""})",
                           R"({"segments":[],"sinceBoot":"x","bootID":"","units":{}})"}) {
    EXPECT_FALSE(AgeBook::from_json(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace gobuildenv::agent::collector
