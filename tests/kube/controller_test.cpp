#include "kube/controller.hpp"

#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <set>
#include <stdexcept>

namespace gobuildenv::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

ObjectKey key(const std::string& name) { return {"ns", name}; }

bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 10'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return false;
}

TEST(Controller, PoisonedObjectDoesNotStopItsSiblings) {
  RealClock clock;
  Metrics metrics;
  std::mutex mutex;
  std::set<std::string> done;
  Controller controller({.name = "test", .workers = 2, .gate = nullptr}, clock, &metrics,
                        [&](const ObjectKey& object) {
                          if (object.name == "poison") throw std::runtime_error("poisoned");
                          if (object.name == "strange") throw 42;
                          const std::lock_guard lock(mutex);
                          done.insert(object.name);
                          return ReconcileResult::done();
                        });
  controller.queue().add(key("poison"));
  controller.queue().add(key("strange"));
  for (int i = 0; i < 100; ++i) controller.queue().add(key(std::to_string(i)));
  controller.start();
  EXPECT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return done.size() == 100;
  }));
  EXPECT_TRUE(eventually([&] { return controller.queue().failures(key("poison")) >= 2; }))
      << "retried with growing delays";
  controller.request_stop();
  controller.join();
  const auto text = metrics.text();
  EXPECT_NE(
      text.find("controller_runtime_reconcile_total{controller=\"test\",result=\"success\"} 100"),
      std::string::npos)
      << text;
}

TEST(Controller, EachResultHasItsConsequence) {
  FakeClock clock;
  std::map<std::string, int> calls;
  std::map<std::string, ReconcileResult> results = {
      {"done", ReconcileResult::done()},
      {"later", ReconcileResult::requeue_after(seconds(60))},
      {"retry", ReconcileResult::retry("no")},
      {"asked", ReconcileResult::retry_after(seconds(7), "429")},
      {"final", ReconcileResult::final("never")}};
  Controller controller({.name = "test", .gate = nullptr}, clock, nullptr,
                        [&](const ObjectKey& object) {
                          ++calls[object.name];
                          return results.at(object.name);
                        });
  const auto run = [&] {
    while (controller.run_one()) {
    }
  };
  for (const auto& [name, result] : results) controller.queue().add(key(name));
  run();
  clock.advance(milliseconds(5));
  run();
  EXPECT_EQ(calls, (std::map<std::string, int>{
                       {"done", 1}, {"later", 1}, {"retry", 2}, {"asked", 1}, {"final", 1}}));
  clock.advance(seconds(7));
  run();
  EXPECT_EQ(calls["asked"], 2);
  clock.advance(seconds(53));
  run();
  EXPECT_EQ(calls["later"], 2);
  EXPECT_EQ(calls["final"], 1);
  EXPECT_EQ(calls["done"], 1);
  EXPECT_EQ(controller.queue().failures(key("later")), 0);
}

TEST(Controller, KeyWaitsUntilTheCacheHasCaughtUp) {
  FakeClock clock;
  bool caught_up = false;
  int calls = 0;
  ControllerOptions options;
  options.name = "test";
  options.gate = [&](const ObjectKey&) { return caught_up; };
  Controller controller(options, clock, nullptr, [&](const ObjectKey&) {
    ++calls;
    return ReconcileResult::done();
  });
  controller.queue().add(key("a"));
  EXPECT_TRUE(controller.run_one());
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(controller.queue().failures(key("a")), 0);
  caught_up = true;
  clock.advance(milliseconds(20));
  EXPECT_TRUE(controller.run_one());
  EXPECT_EQ(calls, 1);
}

TEST(Controller, OneWorkerPerKey) {
  RealClock clock;
  std::map<std::string, std::atomic<int>> inside;
  for (const char* name : {"a", "b", "c"}) inside[name] = 0;
  std::atomic<int> calls{0};
  std::atomic<bool> overlap{false};
  Controller controller({.name = "test", .workers = 4, .gate = nullptr}, clock, nullptr,
                        [&](const ObjectKey& object) {
                          auto& count = inside.at(object.name);
                          if (++count > 1) overlap = true;
                          std::this_thread::yield();
                          --count;
                          ++calls;
                          return ReconcileResult::done();
                        });
  controller.start();
  for (int i = 0; i < 3'000; ++i) controller.queue().add(key(std::string(1, "abc"[i % 3])));
  EXPECT_TRUE(eventually(
      [&] { return controller.queue().depth() == 0 && controller.queue().processing() == 0; }));
  EXPECT_FALSE(overlap);
  EXPECT_GE(calls, 3);
}

TEST(Controller, StopFinishesWhatIsInWorkAndStartsNothing) {
  RealClock clock;
  std::atomic<bool> inside{false};
  std::atomic<bool> release{false};
  std::atomic<int> finished{0};
  Controller controller({.name = "test", .workers = 1, .gate = nullptr}, clock, nullptr,
                        [&](const ObjectKey&) {
                          inside = true;
                          while (!release) std::this_thread::sleep_for(milliseconds(1));
                          ++finished;
                          return ReconcileResult::done();
                        });
  controller.queue().add(key("a"));
  controller.queue().add(key("b"));
  controller.start();
  ASSERT_TRUE(eventually([&] { return inside.load(); }));
  controller.request_stop();
  release = true;
  controller.join();
  EXPECT_EQ(finished, 1);
}

TEST(Controller, HungWorkerIsSeen) {
  FakeClock clock;
  std::atomic<bool> inside{false};
  std::atomic<bool> release{false};
  Controller controller({.name = "test", .workers = 1, .gate = nullptr}, clock, nullptr,
                        [&](const ObjectKey&) {
                          inside = true;
                          while (!release) std::this_thread::sleep_for(milliseconds(1));
                          return ReconcileResult::done();
                        });
  controller.queue().add(key("a"));
  controller.start();
  ASSERT_TRUE(eventually([&] { return inside.load(); }));
  EXPECT_FALSE(controller.hung());
  clock.advance(seconds(301));
  EXPECT_TRUE(controller.hung());
  release = true;
  EXPECT_TRUE(eventually([&] { return !controller.hung(); }));
}

}  // namespace
}  // namespace gobuildenv::kube
