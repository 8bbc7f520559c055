#include "kube/watch_machine.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace gobuildenv::kube {
namespace {

using Phase = WatchState::Phase;
using Input = WatchInput::Kind;
using Action = WatchAction::Kind;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// A machine that keeps its state between inputs, as the reflector does.
struct Machine {
  WatchConfig config;
  WatchState state;
  Clock::TimePoint now{std::chrono::hours(1)};
  double random = 0;

  WatchStep give(const WatchInput& input) {
    auto step = watch_step(config, state, input, now, random);
    state = step.state;
    return step;
  }
  WatchStep give(Input kind, const std::string& version = "") {
    WatchInput input;
    input.kind = kind;
    input.version = version;
    return give(input);
  }
  WatchStep fail(Input kind, Error::Kind error, int code = 0) {
    WatchInput input;
    input.kind = kind;
    input.error.kind = error;
    input.error.code = code;
    return give(input);
  }
  WatchStep page(const std::string& version, const std::string& next = "") {
    WatchInput input;
    input.kind = Input::PageRead;
    input.version = version;
    input.continue_token = next;
    return give(input);
  }
  WatchStep bookmark(const std::string& version, bool end = false) {
    WatchInput input;
    input.kind = Input::Bookmark;
    input.version = version;
    input.initial_events_end = end;
    return give(input);
  }
  /// Listed at `version` and reading the watch.
  static Machine watching(const std::string& version, bool streaming = false) {
    Machine machine;
    machine.config.streaming_list = streaming;
    machine.give(Input::Begin);
    if (streaming) {
      machine.give(Input::Opened);
      machine.bookmark(version, true);
    } else {
      machine.page(version);
      machine.give(Input::Opened);
    }
    return machine;
  }
};

TEST(WatchMachine, ListsFirstWithVersionZeroInPagesAndWatchesFromTheFirstPagesVersion) {
  Machine machine;
  machine.config.streaming_list = false;
  auto step = machine.give(Input::Begin);
  EXPECT_EQ(step.action.kind, Action::List);
  EXPECT_EQ(step.action.resource_version, "0");
  EXPECT_EQ(step.action.limit, 500);
  EXPECT_EQ(step.effect, StoreEffect::BeginReplace);

  step = machine.page("40", "token");
  EXPECT_EQ(step.action.kind, Action::List);
  EXPECT_EQ(step.action.continue_token, "token");
  EXPECT_EQ(step.action.resource_version, "");
  EXPECT_EQ(step.effect, StoreEffect::None);

  step = machine.page("41");
  EXPECT_EQ(step.effect, StoreEffect::CommitReplace);
  EXPECT_EQ(step.action.kind, Action::OpenWatch);
  EXPECT_EQ(step.action.resource_version, "40");
}

TEST(WatchMachine, ExpiredLaterPageIsOneUnpagedList) {
  Machine machine;
  machine.config.streaming_list = false;
  machine.give(Input::Begin);
  machine.page("40", "a");
  machine.page("40", "b");
  const auto step = machine.fail(Input::ListFailed, Error::Kind::Gone, 410);
  EXPECT_EQ(step.action.kind, Action::List);
  EXPECT_EQ(step.action.limit, 0);
  EXPECT_EQ(step.action.continue_token, "");
  EXPECT_EQ(step.action.resource_version, "0");
  EXPECT_EQ(step.effect, StoreEffect::BeginReplace);
  EXPECT_EQ(machine.page("44").action.resource_version, "44");
}

TEST(WatchMachine, RelistUsesTheLastSeenVersionUnpagedAndFallsBackToNewestOnGone) {
  auto machine = Machine::watching("40");
  machine.give(Input::Event, "50");
  auto step = machine.fail(Input::ErrorEvent, Error::Kind::Gone, 410);
  EXPECT_EQ(step.action.kind, Action::List);
  EXPECT_EQ(step.action.resource_version, "50");
  EXPECT_EQ(step.action.limit, 0) << "a limit with a version defeats the watch cache";
  step = machine.fail(Input::ListFailed, Error::Kind::Gone, 410);
  EXPECT_EQ(step.action.kind, Action::List) << "at once, without waiting";
  EXPECT_EQ(step.action.resource_version, "");
  EXPECT_EQ(step.action.limit, 500);
  // A server that says so of "" as well is not asked in a hot loop.
  step = machine.fail(Input::ListFailed, Error::Kind::Gone, 410);
  EXPECT_EQ(step.action.kind, Action::Wait);
}

TEST(WatchMachine, StreamsTheInitialListAndGoesOnReadingTheSameWatch) {
  Machine machine;
  auto step = machine.give(Input::Begin);
  EXPECT_EQ(step.action.kind, Action::OpenStreamingList);
  EXPECT_EQ(step.action.resource_version, "0");
  EXPECT_EQ(step.action.resource_version_match, "NotOlderThan");
  machine.give(Input::Opened);
  step = machine.give(Input::Event, "7");
  EXPECT_EQ(step.effect, StoreEffect::None);
  EXPECT_EQ(machine.state.version, "") << "initial events come in no order";
  step = machine.bookmark("8");
  EXPECT_EQ(step.effect, StoreEffect::None) << "not the bookmark that ends the list";
  step = machine.bookmark("9", true);
  EXPECT_EQ(step.effect, StoreEffect::CommitReplace);
  EXPECT_EQ(step.action.kind, Action::Read);
  EXPECT_EQ(machine.state.version, "9");
  EXPECT_EQ(machine.state.phase, Phase::Watching);
}

TEST(WatchMachine, FallsBackToListsWhereStreamingIsRefusedForGood) {
  Machine machine;
  machine.give(Input::Begin);
  EXPECT_EQ(machine.fail(Input::OpenFailed, Error::Kind::Invalid, 422).action.kind, Action::List);
  machine.page("10");
  machine.give(Input::Opened);
  machine.give(Input::Event, "11");
  EXPECT_EQ(machine.fail(Input::ErrorEvent, Error::Kind::Gone, 410).action.kind, Action::List);
}

TEST(WatchMachine, ErrorInsideTheStreamingListMeansAListThisTimeOnly) {
  Machine machine;
  machine.give(Input::Begin);
  machine.give(Input::Opened);
  machine.give(Input::Event, "5");
  const auto step = machine.fail(Input::ErrorEvent, Error::Kind::Retry, 500);
  EXPECT_EQ(step.action.kind, Action::List);
  EXPECT_EQ(step.effect, StoreEffect::BeginReplace);
  machine.page("10");
  machine.give(Input::Opened);
  machine.give(Input::Event, "11");
  EXPECT_EQ(machine.fail(Input::ErrorEvent, Error::Kind::Gone, 410).action.kind,
            Action::OpenStreamingList);
}

TEST(WatchMachine, SilentStreamingListIsRepeatedAsAList) {
  Machine machine;
  machine.give(Input::Begin);
  machine.give(Input::Opened);
  EXPECT_EQ(machine.give(Input::IdleTimeout).action.kind, Action::List);
}

TEST(WatchMachine, CleanCloseWatchesAgainWithoutAList) {
  auto machine = Machine::watching("40");
  machine.give(Input::Event, "41");
  machine.bookmark("45");
  const auto step = machine.give(Input::StreamClosed);
  EXPECT_EQ(step.action.kind, Action::OpenWatch);
  EXPECT_EQ(step.action.resource_version, "45");
  EXPECT_EQ(step.effect, StoreEffect::None);
}

TEST(WatchMachine, ShortEmptyStreamWaitsBeforeTheNext) {
  auto machine = Machine::watching("40");
  auto step = machine.give(Input::StreamClosed);
  EXPECT_EQ(step.action.kind, Action::Wait);
  EXPECT_EQ(machine.give(Input::Waited).action.kind, Action::OpenWatch);
  machine.give(Input::Opened);
  machine.now += seconds(400);
  EXPECT_EQ(machine.give(Input::StreamClosed).action.kind, Action::OpenWatch);
}

TEST(WatchMachine, IdleTimeoutReconnectsAtOnceFromTheLastVersion) {
  auto machine = Machine::watching("40");
  machine.give(Input::Event, "41");
  const auto step = machine.give(Input::IdleTimeout);
  EXPECT_EQ(step.action.kind, Action::OpenWatch);
  EXPECT_EQ(step.action.resource_version, "41");
}

struct Failure {
  const char* name;
  Input input;
  Error::Kind kind;
  int code;
  Action after_wait;
};

class WatchFailures : public ::testing::TestWithParam<Failure> {};

TEST_P(WatchFailures, BackOffThenGoOn) {
  auto machine = Machine::watching("40");
  if (GetParam().input == Input::OpenFailed) {
    machine.give(Input::Event, "41");
    machine.give(Input::StreamClosed);
  }
  EXPECT_EQ(machine.fail(GetParam().input, GetParam().kind, GetParam().code).action.kind,
            Action::Wait);
  EXPECT_EQ(machine.give(Input::Waited).action.kind, GetParam().after_wait);
}

INSTANTIATE_TEST_SUITE_P(
    All, WatchFailures,
    ::testing::Values(
        Failure{"refused", Input::OpenFailed, Error::Kind::Retry, 0, Action::OpenWatch},
        Failure{"storm", Input::OpenFailed, Error::Kind::Retry, 429, Action::OpenWatch},
        Failure{"forbidden", Input::OpenFailed, Error::Kind::Forbidden, 403, Action::OpenWatch},
        Failure{"crd_deleted", Input::OpenFailed, Error::Kind::NotFound, 404, Action::List},
        Failure{"storm_inside", Input::ErrorEvent, Error::Kind::Retry, 429, Action::OpenWatch},
        Failure{"error_inside", Input::ErrorEvent, Error::Kind::Retry, 500, Action::OpenWatch},
        Failure{"torn", Input::StreamBroken, Error::Kind::Retry, 0, Action::OpenWatch}),
    [](const auto& instance) { return instance.param.name; });

TEST(WatchMachine, GoneOnOpenListsAtOnce) {
  auto machine = Machine::watching("40");
  machine.give(Input::Event, "41");
  machine.give(Input::StreamClosed);
  const auto step = machine.fail(Input::OpenFailed, Error::Kind::Gone, 410);
  EXPECT_EQ(step.action.kind, Action::List);
  EXPECT_EQ(step.action.resource_version, "41");
}

TEST(WatchMachine, StreamsThatShowNothingEndInAList) {
  auto machine = Machine::watching("40");
  for (int i = 0; i < 2; ++i) {
    machine.give(Input::StreamBroken);
    EXPECT_EQ(machine.give(Input::Waited).action.kind, Action::OpenWatch);
    machine.give(Input::Opened);
  }
  machine.give(Input::StreamBroken);
  EXPECT_EQ(machine.give(Input::Waited).action.kind, Action::List);
}

TEST(WatchMachine, GoneAtEachWatchIsNoHotLoop) {
  for (const auto kind : {Input::ErrorEvent, Input::OpenFailed}) {
    auto machine = Machine::watching("40");
    int waits = 0;
    for (int i = 0; i < 30; ++i) {
      if (machine.fail(kind, Error::Kind::Gone, 410).action.kind == Action::Wait) {
        ++waits;
        machine.give(Input::Waited);
      }
      machine.page("40");
      if (kind == Input::ErrorEvent) machine.give(Input::Opened);
    }
    EXPECT_EQ(waits, 10);
  }
}

TEST(WatchMachine, BackoffDoublesToItsLimitAndStartsAnewAfterQuiet) {
  auto machine = Machine::watching("40");
  const auto delay = [&] {
    const auto step = machine.fail(Input::OpenFailed, Error::Kind::Retry);
    machine.give(Input::Waited);
    return std::chrono::duration_cast<milliseconds>(step.action.delay);
  };
  std::vector<milliseconds> delays;
  for (int i = 0; i < 8; ++i) delays.push_back(delay());
  EXPECT_EQ(delays,
            (std::vector<milliseconds>{milliseconds(800), milliseconds(1600), milliseconds(3200),
                                       milliseconds(6400), milliseconds(12800), milliseconds(25600),
                                       milliseconds(30000), milliseconds(30000)}));
  machine.random = 0.999999;
  EXPECT_NEAR(static_cast<double>(delay().count()), 60000, 1) << "jitter up to twice";
  machine.random = 0;
  machine.now += seconds(119);
  EXPECT_EQ(delay(), milliseconds(30000));
  machine.now += seconds(121);
  EXPECT_EQ(delay(), milliseconds(800));
}

TEST(WatchMachine, WaitsAtLeastWhatTheServerAsksFor) {
  auto machine = Machine::watching("40");
  WatchInput input;
  input.kind = Input::OpenFailed;
  input.error.code = 429;
  input.error.retry_after = seconds(17);
  EXPECT_EQ(machine.give(input).action.delay, seconds(17));
}

TEST(WatchMachine, WatchTimeoutIsUniformInItsRange) {
  for (const double random : {0.0, 0.5, 0.999999}) {
    auto machine = Machine::watching("40");
    machine.random = random;
    machine.give(Input::Event, "41");
    const auto step = machine.give(Input::StreamClosed);
    EXPECT_NEAR(static_cast<double>(step.action.timeout.count()), 300 + 300 * random, 1);
  }
}

TEST(WatchMachine, EventsAndBookmarksAdvanceTheVersion) {
  auto machine = Machine::watching("40");
  EXPECT_EQ(machine.give(Input::Event, "41").effect, StoreEffect::Advance);
  EXPECT_EQ(machine.state.version, "41");
  EXPECT_EQ(machine.bookmark("60").effect, StoreEffect::Advance);
  EXPECT_EQ(machine.state.version, "60");
}

}  // namespace
}  // namespace gobuildenv::kube
