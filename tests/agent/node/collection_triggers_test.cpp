#include "agent/node/collection_triggers.hpp"

#include <gtest/gtest.h>

#include <string>

namespace gobuildenv::agent {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using Kind = Turn::Kind;
using TimePoint = kube::Clock::TimePoint;

const TimePoint kStart{hours(1000)};

/// An agent that started long ago and has just looked at everything.
TriggerState settled(TimePoint now) {
  TriggerState state;
  state.started = kStart;
  state.last_run = state.last_look = state.last_disk_check = now;
  return state;
}

struct Case {
  const char* name;
  void (*change)(TriggerState&, TimePoint now);
  seconds later;  ///< when it is asked again
  Kind kind;
  const char* why;
};

TEST(Triggers, WhatHappensWhen) {
  const TimePoint now = kStart + hours(5);
  const auto nothing = [](TriggerState&, TimePoint) {};
  const auto volumes = [](TriggerState& s, TimePoint) { s.volumes = true; };
  const auto full = [](TriggerState& s, TimePoint) { s.over_high = true; };
  const auto full_in_vain = [](TriggerState& s, TimePoint) { s.over_high = s.run_was_vain = true; };
  const auto due = [](TriggerState& s, TimePoint t) { s.due = t + minutes(20); };
  const auto due_at_once = [](TriggerState& s, TimePoint t) { s.due = t; };
  const auto changed = [](TriggerState& s, TimePoint) { s.changed = s.changed_since_run = true; };
  const auto unknown = [](TriggerState& s, TimePoint) {
    s.ready = false;
    s.volumes = s.changed_since_run = true;
  };
  const auto unknown_full = [](TriggerState& s, TimePoint) {
    s.ready = false;
    s.over_high = true;
  };
  const auto alone = [](TriggerState& s, TimePoint t) {
    s.ready = false;
    s.over_high = true;
    s.started = t;
    s.last_run.reset();
  };
  const Case cases[] = {
      {"nothing to do", nothing, seconds(14), Kind::Wait, ""},
      {"a quiet node sleeps past the interval", nothing, minutes(59), Kind::Wait, ""},
      {"and is looked at once an hour", nothing, hours(1), Kind::Run, "interval"},
      {"caches in use", volumes, seconds(299), Kind::Wait, ""},
      {"caches in use, the interval is over", volumes, seconds(300), Kind::Run, "interval"},
      {"over the watermark, the first trash is being emptied", full, seconds(29), Kind::Wait, ""},
      {"over the watermark", full, seconds(30), Kind::Run, "disk"},
      {"over the watermark, nothing may go", full_in_vain, seconds(299), Kind::Wait, ""},
      {"over the watermark, tried again", full_in_vain, seconds(300), Kind::Run, "disk"},
      {"a unit reaches its age", due, minutes(20), Kind::Run, "age"},
      {"a unit has not reached its age", due, minutes(19), Kind::Wait, ""},
      {"a unit that could not go is no reason to run all the time", due_at_once, seconds(299),
       Kind::Wait, ""},
      {"a change is measured", changed, seconds(60), Kind::Measure, ""},
      {"and not sooner", changed, seconds(59), Kind::Wait, ""},
      {"no run while the cluster is not known", unknown, hours(2), Kind::Wait, ""},
      {"nor on a full disk at once", alone, seconds(59), Kind::Wait, ""},
      {"on a full disk when it does not answer", alone, seconds(60), Kind::Run, "disk"},
      {"and again", unknown_full, seconds(30), Kind::Run, "disk"},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    TriggerState state = settled(now);
    one.change(state, now);
    const TimePoint then = now + one.later;
    state.last_disk_check = then;  // its own test is below
    const Turn turn = next_turn(state, {}, then);
    EXPECT_EQ(turn.kind, one.kind);
    EXPECT_STREQ(turn.why, one.why);
    if (turn.kind == Kind::Wait) {
      EXPECT_GT(turn.until, then);
    }
  }
}

TEST(Triggers, AStartLooksFirstAndRunsWhenSettled) {
  TriggerState state;
  state.started = kStart;
  EXPECT_EQ(next_turn(state, {}, kStart).kind, Kind::CheckDisk);
  state.last_disk_check = kStart;
  EXPECT_EQ(next_turn(state, {}, kStart).kind, Kind::Measure);
  state.last_look = kStart + seconds(1);
  const Turn wait = next_turn(state, {}, kStart + seconds(1));
  EXPECT_EQ(wait.kind, Kind::Wait);
  EXPECT_EQ(wait.until, kStart + seconds(10));
  EXPECT_EQ(next_turn(state, {}, kStart + seconds(10)).kind, Kind::Run);
}

TEST(Triggers, TheDiskIsCheckedAllTheTime) {
  const TimePoint now = kStart + hours(5);
  TriggerState state = settled(now);
  EXPECT_EQ(next_turn(state, {}, now).until, now + seconds(15));
  EXPECT_EQ(next_turn(state, {}, now + seconds(15)).kind, Kind::CheckDisk);
}

/// However the flags are set, a thread that does what it is told makes progress and never spins.
TEST(Triggers, NeverSpins) {
  TriggerOptions options;
  options.interval = options.disk_check = options.measure_after = options.settle = seconds(1);
  TriggerState state;
  state.started = kStart;
  state.volumes = state.over_high = state.run_was_vain = true;
  TimePoint now = kStart;
  int turns = 0;
  int runs = 0;
  while (now < kStart + minutes(1)) {
    ASSERT_LT(++turns, 400);
    state.due = now;
    state.changed = state.changed_since_run = true;
    const Turn turn = next_turn(state, options, now);
    if (turn.kind == Kind::Wait) {
      ASSERT_GT(turn.until, now);
      now = turn.until;
    }
    if (turn.kind == Kind::CheckDisk) state.last_disk_check = now;
    if (turn.kind == Kind::Measure) state.last_look = now;
    if (turn.kind == Kind::Run) {
      state.last_run = state.last_look = now;
      ++runs;
    }
  }
  EXPECT_GE(runs, 55);
  EXPECT_LE(runs, 61);
}

TEST(Triggers, Watermarks) {
  collector::Limits limits;  // 75 %
  const auto disk = [](std::uint64_t free, std::uint64_t inodes_free) {
    return collector::Disk{1000, free, 1000, inodes_free};
  };
  EXPECT_FALSE(over_high(disk(250, 250), limits));
  EXPECT_TRUE(over_high(disk(249, 1000), limits));
  EXPECT_TRUE(over_high(disk(1000, 249), limits));
  EXPECT_FALSE(over_high({1000, 1000, 0, 0}, limits));  // inodes made as needed
}

TEST(Triggers, DueIsWhenTheFirstUnprotectedUnitMayGo) {
  collector::Limits limits;
  limits.node.unused_for = hours(10);
  limits.environments["ns/env"].unused_for = hours(4);
  collector::Inventory inventory;
  const auto add = [&](const char* path, const char* environment, seconds idle) {
    collector::Unit unit;
    unit.path = path;
    unit.environment = environment;
    unit.idle = idle;
    unit.size = {1, 1};
    inventory.units.push_back(unit);
  };
  const auto due = [&](const std::vector<collector::Root>& roots) {
    return until_due(inventory, plan(inventory, roots, limits, {}), limits);
  };
  EXPECT_EQ(due({}), std::nullopt);
  add("toolchains/a/k", "", hours(9));
  EXPECT_EQ(due({}), hours(1));
  EXPECT_EQ(due({{"toolchains/a", "a pod"}}), std::nullopt);
  add("caches/ns/env/mod/lower/1/m@v1", "ns/env", minutes(225));
  EXPECT_EQ(due({}), minutes(15));
  add("toolchains/b/k", "", hours(11));  // goes now, so it is nobody's next
  EXPECT_EQ(due({}), minutes(15));
}

}  // namespace
}  // namespace gobuildenv::agent
