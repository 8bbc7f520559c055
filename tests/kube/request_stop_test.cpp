#include "kube/request_stop.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace gobuildenv::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RequestStop, EndsWaits) {
  RealClock clock;
  RequestStop requests;
  EXPECT_TRUE(requests.sleep(clock, milliseconds(1)));
  std::thread stopper([&] { requests.stop(); });
  EXPECT_FALSE(requests.sleep(clock, seconds(60)));
  stopper.join();
  EXPECT_TRUE(requests.stopped());
  EXPECT_TRUE(requests.signal().raised());
}

TEST(StopAfter, StopsWhenTheGraceIsOverAndNoSooner) {
  FakeClock clock;
  RequestStop requests;
  const StopAfter bound(clock, seconds(10), requests);
  const auto looked = [&] {
    const auto before = clock.looks();
    while (clock.looks() < before + 2) std::this_thread::yield();
  };
  looked();
  clock.advance(seconds(9));
  looked();
  EXPECT_FALSE(requests.stopped());
  clock.advance(seconds(1));
  EXPECT_EQ(wait_for(requests.signal(), nullptr, std::chrono::steady_clock::now() + seconds(30)),
            Waited::Done);
}

TEST(StopAfter, LeavesThemAloneWhenAllIsDoneBefore) {
  FakeClock clock;
  RequestStop requests;
  { const StopAfter bound(clock, seconds(10), requests); }
  clock.advance(seconds(20));
  EXPECT_FALSE(requests.stopped());
}

TEST(WaitFor, TellsWhatCameFirst) {
  const auto in = [](milliseconds time) { return std::chrono::steady_clock::now() + time; };
  CancelSignal done;
  CancelSignal cancel;
  EXPECT_EQ(wait_for(done, &cancel, in(milliseconds(5))), Waited::Timeout);
  EXPECT_EQ(wait_for(done, nullptr, in(milliseconds(-5))), Waited::Timeout);
  std::thread canceller([&] { cancel.raise(); });
  EXPECT_EQ(wait_for(done, &cancel, in(seconds(60))), Waited::Cancelled);
  canceller.join();
  std::thread finisher([&] { done.raise(); });
  EXPECT_EQ(wait_for(done, nullptr, in(seconds(60))), Waited::Done);
  finisher.join();
  EXPECT_EQ(wait_for(done, &cancel, in(seconds(60))), Waited::Done) << "both: it is done";
}

}  // namespace
}  // namespace gobuildenv::kube
