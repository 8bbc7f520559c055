#include "kube/work_queue.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>
#include <thread>

namespace gobuildenv::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

ObjectKey key(const std::string& name) { return {"ns", name}; }

struct Fixture {
  FakeClock clock;
  WorkQueue queue{clock, {"test"}};
};

TEST(WorkQueue, AddedTwiceIsHandedOutOnce) {
  Fixture f;
  f.queue.add(key("a"));
  f.queue.add(key("a"));
  EXPECT_EQ(f.queue.depth(), 1U);
  EXPECT_EQ(f.queue.try_get(), key("a"));
  EXPECT_EQ(f.queue.try_get(), std::nullopt);
}

TEST(WorkQueue, AddedWhileProcessedComesBackAfterDone) {
  Fixture f;
  f.queue.add(key("a"));
  f.queue.try_get();
  f.queue.add(key("a"));
  f.queue.add(key("a"));
  EXPECT_EQ(f.queue.try_get(), std::nullopt) << "one worker per key";
  f.queue.done(key("a"));
  EXPECT_EQ(f.queue.try_get(), key("a"));
  f.queue.done(key("a"));
  EXPECT_EQ(f.queue.try_get(), std::nullopt);
}

TEST(WorkQueue, NewObjectsOvertakeTheInitialList) {
  Fixture f;
  for (int i = 0; i < 10'000; ++i) f.queue.add(key(std::to_string(i)), Priority::Low);
  f.queue.add(key("new"));
  f.queue.add(key("5000"));                 // changed: raised
  f.queue.add(key("5000"), Priority::Low);  // never lowered
  EXPECT_EQ(f.queue.try_get(), key("new"));
  EXPECT_EQ(f.queue.try_get(), key("5000"));
  EXPECT_EQ(f.queue.try_get(), key("0"));
  EXPECT_EQ(f.queue.depth(), 9'998U);
}

TEST(WorkQueue, RetriesWaitTwiceAsLongEachTimeUpToTheLimit) {
  Fixture f;
  milliseconds expected{5};
  for (int i = 0; i < 25; ++i) {
    f.queue.add_rate_limited(key("a"));
    f.clock.advance(expected - milliseconds(1));
    EXPECT_EQ(f.queue.try_get(), std::nullopt) << i;
    f.clock.advance(milliseconds(1));
    ASSERT_EQ(f.queue.try_get(), key("a")) << i;
    f.queue.done(key("a"));
    expected = std::min(expected * 2, milliseconds(300'000));
  }
  f.queue.forget(key("a"));
  f.queue.add_rate_limited(key("a"));
  f.clock.advance(milliseconds(5));
  EXPECT_EQ(f.queue.try_get(), key("a"));
}

TEST(WorkQueue, OfSeveralDelaysTheEarliestCounts) {
  Fixture f;
  f.queue.add_after(key("a"), seconds(10));
  f.queue.add_after(key("a"), seconds(3));
  f.queue.add_after(key("a"), seconds(20));
  EXPECT_EQ(f.queue.delayed(), 1U);
  f.clock.advance(seconds(3));
  EXPECT_EQ(f.queue.try_get(), key("a"));
  f.queue.done(key("a"));
  f.clock.advance(seconds(60));
  EXPECT_EQ(f.queue.try_get(), std::nullopt);
}

TEST(WorkQueue, WallClockJumpsChangeNothing) {
  Fixture f;
  f.queue.add_after(key("a"), seconds(10));
  f.clock.jump_wall(std::chrono::hours(24 * 365));
  EXPECT_EQ(f.queue.try_get(), std::nullopt);
  f.clock.jump_wall(-std::chrono::hours(24 * 730));
  f.clock.advance(seconds(10));
  EXPECT_EQ(f.queue.try_get(), key("a"));
}

TEST(WorkQueue, ShutDownDropsOrDrainsWhatWaits) {
  {
    Fixture f;
    f.queue.add(key("a"));
    f.queue.shut_down(WorkQueue::Drain::Processing);
    EXPECT_EQ(f.queue.get(), std::nullopt);
  }
  Fixture f;
  f.queue.add(key("a"));
  f.queue.add_after(key("later"), seconds(1));
  f.queue.shut_down(WorkQueue::Drain::Waiting);
  f.queue.add(key("b"));
  EXPECT_EQ(f.queue.get(), key("a"));
  f.queue.add(key("a"));
  f.queue.done(key("a"));
  f.clock.advance(seconds(1));
  EXPECT_EQ(f.queue.get(), std::nullopt);
}

TEST(WorkQueue, WaitingWorkersWakeForAddsDelaysAndShutDown) {
  Fixture f;
  std::mutex mutex;
  std::set<std::string> seen;
  std::vector<std::thread> workers;
  for (int i = 0; i < 3; ++i) {
    workers.emplace_back([&] {
      while (const auto got = f.queue.get()) {
        {
          const std::lock_guard lock(mutex);
          seen.insert(got->name);
        }
        f.queue.done(*got);
      }
    });
  }
  const auto wait_for = [&](const std::string& name) {
    for (int i = 0; i < 10'000; ++i) {
      {
        const std::lock_guard lock(mutex);
        if (seen.contains(name)) return true;
      }
      std::this_thread::sleep_for(milliseconds(1));
    }
    return false;
  };
  f.queue.add(key("a"));
  EXPECT_TRUE(wait_for("a"));
  f.queue.add_after(key("b"), seconds(5));
  f.clock.advance(seconds(5));
  EXPECT_TRUE(wait_for("b"));
  f.queue.shut_down();
  for (auto& worker : workers) worker.join();
}

// A worker that leaves with a key must not take the only alarm clock with it.
TEST(WorkQueue, DelayIsNoticedWhileAnotherWorkerIsBusy) {
  RealClock clock;
  WorkQueue queue(clock, {"test"});
  std::atomic<bool> release{false};
  std::atomic<bool> late_seen{false};
  std::vector<std::thread> workers;
  for (int i = 0; i < 2; ++i) {
    workers.emplace_back([&] {
      while (const auto got = queue.get()) {
        if (got->name == "slow") {
          while (!release) std::this_thread::sleep_for(milliseconds(1));
        } else {
          late_seen = true;
        }
        queue.done(*got);
      }
    });
  }
  queue.add_after(key("late"), milliseconds(100));
  queue.add(key("slow"));
  for (int i = 0; i < 10'000 && !late_seen; ++i) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_TRUE(late_seen);
  release = true;
  queue.shut_down();
  for (auto& worker : workers) worker.join();
}

TEST(WorkQueue, LongestProcessingIsVisible) {
  Fixture f;
  f.queue.add(key("a"));
  f.queue.add(key("b"));
  f.queue.try_get();
  f.clock.advance(seconds(10));
  f.queue.try_get();
  f.clock.advance(seconds(1));
  EXPECT_EQ(f.queue.longest_processing(), seconds(11));
  f.queue.done(key("a"));
  EXPECT_EQ(f.queue.longest_processing(), seconds(1));
}

// The model: per key its state, per priority the order of waiting.
struct Model {
  std::vector<std::string> ready[2];
  std::map<std::string, Priority> again;
  std::set<std::string> processing;
  std::map<std::string, std::pair<Clock::TimePoint, Priority>> due;
  std::map<std::string, int> failures;

  std::size_t depth() const { return ready[0].size() + ready[1].size(); }
  void add(const std::string& name, Priority priority) {
    if (processing.contains(name)) {
      const auto place = again.try_emplace(name, priority).first;
      place->second = std::max(place->second, priority);
      return;
    }
    auto& low = ready[0];
    auto& normal = ready[1];
    if (std::find(normal.begin(), normal.end(), name) != normal.end()) return;
    const auto in_low = std::find(low.begin(), low.end(), name);
    if (in_low != low.end()) {
      if (priority == Priority::Low) return;
      low.erase(in_low);
    }
    ready[static_cast<int>(priority)].push_back(name);
  }
  void delay(const std::string& name, Clock::TimePoint when, Priority priority) {
    const auto place = due.try_emplace(name, when, priority).first;
    place->second.first = std::min(place->second.first, when);
    place->second.second = std::max(place->second.second, priority);
  }
  void release(Clock::TimePoint now) {
    std::vector<std::pair<Clock::TimePoint, std::string>> order;
    for (const auto& [name, entry] : due) {
      if (entry.first <= now) order.emplace_back(entry.first, name);
    }
    std::sort(order.begin(), order.end());
    for (const auto& [when, name] : order) {
      const auto priority = due.at(name).second;
      due.erase(name);
      add(name, priority);
    }
  }
  std::string take() {
    auto& from = ready[1].empty() ? ready[0] : ready[1];
    if (from.empty()) return "";
    auto name = from.front();
    from.erase(from.begin());
    processing.insert(name);
    return name;
  }
};

RC_GTEST_PROP(WorkQueue, BehavesAsItsModel, ()) {
  Fixture f;
  Model model;
  const auto steps = *rc::gen::inRange(1, 120);
  for (int i = 0; i < steps; ++i) {
    const auto name = std::string(1, *rc::gen::inRange('a', 'f'));
    const auto priority = *rc::gen::element(Priority::Low, Priority::Normal);
    switch (*rc::gen::inRange(0, 8)) {
      case 0:
      case 1:
        f.queue.add(key(name), priority);
        model.add(name, priority);
        break;
      case 2: {
        const auto delay = milliseconds(*rc::gen::inRange(1, 50));
        f.queue.add_after(key(name), delay, priority);
        model.delay(name, f.clock.now() + delay, priority);
        break;
      }
      case 3: {
        f.queue.add_rate_limited(key(name), priority);
        const auto delay = milliseconds(5) * (1LL << std::min(model.failures[name]++, 17));
        model.delay(name, f.clock.now() + delay, priority);
        break;
      }
      case 4:
        f.queue.forget(key(name));
        model.failures.erase(name);
        break;
      case 5:
        f.clock.advance(milliseconds(*rc::gen::inRange(0, 30)));
        break;
      case 6: {
        model.release(f.clock.now());
        const auto got = f.queue.try_get();
        const auto expected = model.take();
        RC_ASSERT((got ? got->name : "") == expected);
        break;
      }
      default:
        f.queue.done(key(name));
        if (model.processing.erase(name) > 0 && model.again.contains(name)) {
          const auto back = model.again.at(name);
          model.again.erase(name);
          model.add(name, back);
        }
        break;
    }
    RC_ASSERT(f.queue.depth() == model.depth());
    RC_ASSERT(f.queue.processing() == model.processing.size());
    RC_ASSERT(f.queue.delayed() == model.due.size());
  }
}

}  // namespace
}  // namespace gobuildenv::kube
