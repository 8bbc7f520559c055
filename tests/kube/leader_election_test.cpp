#include "kube/leader_election.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "kube/rfc3339.hpp"
#include "tests/kube/fake_client.hpp"

namespace gobuildenv::kube {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::error_of;

bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 10'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return false;
}

/// The one Lease, with the API server's optimistic locking.
struct LeaseServer {
  std::mutex mutex;
  json lease;
  int version = 0;
  std::atomic<bool> down{false};
  std::atomic<bool> lose_answers{false};
  std::atomic<int> updates{0};

  Client::Result get() {
    const std::lock_guard lock(mutex);
    if (down) return tl::unexpected(error_of(Error::Kind::Retry, 0));
    if (lease.is_null()) return tl::unexpected(error_of(Error::Kind::NotFound, 404));
    return lease.dump();
  }
  Client::Result create(std::string_view text) {
    const std::lock_guard lock(mutex);
    if (down) return tl::unexpected(error_of(Error::Kind::Retry, 0));
    if (!lease.is_null()) return tl::unexpected(error_of(Error::Kind::AlreadyExists, 409));
    return store(json::parse(text));
  }
  Client::Result update(std::string_view text) {
    const std::lock_guard lock(mutex);
    if (down) return tl::unexpected(error_of(Error::Kind::Retry, 0));
    auto next = json::parse(text);
    if (lease.is_null()) return tl::unexpected(error_of(Error::Kind::NotFound, 404));
    if (next["metadata"]["resourceVersion"] != lease["metadata"]["resourceVersion"]) {
      return tl::unexpected(error_of(Error::Kind::Conflict, 409));
    }
    ++updates;
    return store(std::move(next));
  }
  std::string holder() {
    const std::lock_guard lock(mutex);
    return lease.is_null() ? "" : lease["spec"]["holderIdentity"].get<std::string>();
  }
  json spec() {
    const std::lock_guard lock(mutex);
    return lease["spec"];
  }

 private:
  Client::Result store(json next) {
    next["metadata"]["resourceVersion"] = std::to_string(++version);
    lease = std::move(next);
    if (lose_answers) return tl::unexpected(error_of(Error::Kind::Retry, 0));
    return lease.dump();
  }
};

/// One replica; its clock is its own, so that it alone can be paused.
struct Replica {
  testing::FakeClient client;
  std::unique_ptr<LeaderElector> elector;
  std::atomic<int> started{0};
  std::atomic<int> lost{0};
  std::atomic<int> gets{0};
  std::atomic<bool> paused{false};  ///< every request hangs, as in a stopped process

  Replica(LeaseServer& server, FakeClock& clock, const std::string& identity,
          Metrics* metrics = nullptr, double random = 0.0) {
    const auto wait = [this] {
      while (paused) std::this_thread::sleep_for(milliseconds(1));
    };
    client.on_get = [this, &server, wait](const ObjectKey&) {
      ++gets;
      wait();
      return server.get();
    };
    client.on_create = [&server, wait](std::string_view text) {
      wait();
      return server.create(text);
    };
    client.on_update = [&server, wait](const ObjectKey&, std::string_view text) {
      wait();
      return server.update(text);
    };
    LeaderElectionOptions options;
    options.lease = {"system", "gobuildenv"};
    options.identity = identity;
    LeaderCallbacks callbacks;
    callbacks.on_started = [this] { ++started; };
    callbacks.on_lost = [this] { ++lost; };
    elector = std::make_unique<LeaderElector>(
        client, clock, [random] { return random; }, options, callbacks, metrics);
  }
  ~Replica() { paused = false; }
};

/// Lets fake time pass, slowly enough for the threads to act on each half second: each step waits
/// for the sleepers, or a moment where none sleeps (a stopped elector, a hanging request).
bool pass(FakeClock& clock, seconds time, const std::function<bool()>& until = nullptr) {
  for (int i = 0; i < 2 * time.count(); ++i) {
    if (until && until()) return true;
    const auto looks = clock.looks();
    clock.advance(milliseconds(500));
    for (int j = 0; j < 100 && clock.looks() < looks + 6; ++j) {
      std::this_thread::sleep_for(milliseconds(1));
    }
  }
  return until && until();
}

TEST(LeaderElection, FirstLeadsRenewsAndGivesBack) {
  FakeClock clock;
  LeaseServer server;
  Metrics metrics;
  Replica a(server, clock, "a", &metrics);
  EXPECT_FALSE(a.elector->is_leader());
  a.elector->start();
  ASSERT_TRUE(eventually([&] { return a.started == 1; }));
  EXPECT_TRUE(a.elector->fence()());
  EXPECT_EQ(a.elector->led_until(), std::nullopt);
  EXPECT_NE(metrics.text().find("leader_election_master_status{name=\"gobuildenv\"} 1"),
            std::string::npos);
  EXPECT_EQ(server.spec()["leaseDurationSeconds"], 15);
  pass(clock, seconds(60));
  EXPECT_TRUE(a.elector->is_leader());
  EXPECT_GE(server.updates, 10);
  EXPECT_EQ(server.spec()["leaseTransitions"], 0);
  a.elector->stop(LeaderElector::Release::Yes);
  EXPECT_EQ(server.holder(), "");
  EXPECT_FALSE(a.elector->is_leader());
  EXPECT_EQ(a.lost, 0);
  EXPECT_NE(metrics.text().find("leader_election_master_status{name=\"gobuildenv\"} 0"),
            std::string::npos);
}

TEST(LeaderElection, SecondTakesOverAtOnceAfterRelease) {
  FakeClock clock;
  LeaseServer server;
  Replica a(server, clock, "a");
  Replica b(server, clock, "b");
  a.elector->start();
  ASSERT_TRUE(eventually([&] { return a.started == 1; }));
  b.elector->start();
  pass(clock, seconds(30));
  EXPECT_EQ(b.started, 0);
  a.elector->stop(LeaderElector::Release::Yes);
  EXPECT_TRUE(pass(clock, seconds(5), [&] { return b.started == 1; }));
  EXPECT_EQ(server.spec()["leaseTransitions"], 1);
  b.elector->stop(LeaderElector::Release::No);
  EXPECT_EQ(server.holder(), "b");
}

TEST(LeaderElection, ThoseWhoWaitDoNotAskAllAtOnce) {
  // 2 s · (1 + 1.2 · random)
  struct {
    double random;
    milliseconds before, due;
  } const cases[] = {{0.0, milliseconds(1'999), milliseconds(2'000)},
                     {0.999, milliseconds(4'397), milliseconds(4'398)}};
  for (const auto& tested : cases) {
    FakeClock clock;
    LeaseServer server;
    server.down = true;
    Replica a(server, clock, "a", nullptr, tested.random);
    // Twice, as a sleeper may be between its look and its sleep.
    const auto sleeps = [&] {
      const auto looks = clock.looks();
      return eventually([&] { return clock.looks() >= looks + 2; });
    };
    a.elector->start();
    for (int asked = 1; asked <= 3; ++asked) {
      ASSERT_TRUE(eventually([&] { return a.gets == asked; }));
      ASSERT_TRUE(sleeps());
      clock.advance(tested.before);
      ASSERT_TRUE(sleeps());
      EXPECT_EQ(a.gets, asked) << tested.random;
      clock.advance(tested.due - tested.before);
    }
    EXPECT_TRUE(eventually([&] { return a.gets == 4; })) << tested.random;
  }
}

TEST(LeaderElection, LeaderPausedPastItsLeaseIsFencedAtItsFirstQuestion) {
  FakeClock clock;
  LeaseServer server;
  Replica a(server, clock, "a");
  Replica b(server, clock, "b");
  a.elector->start();
  ASSERT_TRUE(eventually([&] { return a.started == 1; }));
  b.elector->start();
  pass(clock, seconds(4));
  a.paused = true;  // in the middle of its next renewal
  EXPECT_TRUE(pass(clock, seconds(40), [&] { return b.started == 1; }));
  EXPECT_FALSE(a.elector->is_leader()) << "no thread of its own had to notice";
  EXPECT_TRUE(b.elector->is_leader());
  a.paused = false;
  EXPECT_TRUE(eventually([&] { return a.lost == 1; }));
  EXPECT_FALSE(a.elector->is_leader());
  EXPECT_EQ(server.holder(), "b");
  a.elector->stop(LeaderElector::Release::Yes);
  EXPECT_EQ(server.holder(), "b") << "what is not ours is not released";
  b.elector->stop(LeaderElector::Release::No);
}

TEST(LeaderElection, ValidityCountsFromBeforeTheRenewalWasSent) {
  FakeClock clock;
  LeaseServer server;
  Replica a(server, clock, "a");
  a.client.on_create = [&](std::string_view text) {
    auto answer = server.create(text);
    clock.advance(seconds(9));  // a slow answer
    return answer;
  };
  a.elector->start();
  ASSERT_TRUE(eventually([&] { return a.started == 1; }));
  server.down = true;
  clock.advance(milliseconds(5'999));
  EXPECT_TRUE(a.elector->is_leader() || a.lost == 1);
  clock.advance(milliseconds(1));
  EXPECT_FALSE(a.elector->is_leader());
}

TEST(LeaderElection, SleepOfTheMachineEndsTheLease) {
  FakeClock clock;
  LeaseServer server;
  Replica a(server, clock, "a");
  a.elector->start();
  ASSERT_TRUE(eventually([&] { return a.started == 1; }));
  clock.suspend(seconds(16));  // the monotonic clock stood still
  EXPECT_FALSE(a.elector->is_leader());
}

TEST(LeaderElection, WallClockJumpsChangeNothing) {
  FakeClock clock;
  LeaseServer server;
  Replica a(server, clock, "a");
  Replica b(server, clock, "b");
  a.elector->start();
  ASSERT_TRUE(eventually([&] { return a.started == 1; }));
  b.elector->start();
  for (const int hours : {24 * 365, -24 * 730}) {
    clock.jump_wall(std::chrono::hours(hours));
    pass(clock, seconds(20));
    EXPECT_TRUE(a.elector->is_leader());
    EXPECT_EQ(b.started, 0);
  }
}

TEST(LeaderElection, UnreachableServerLosesTheLeaseAtTheRenewDeadline) {
  FakeClock clock;
  LeaseServer server;
  Replica a(server, clock, "a");
  a.elector->start();
  ASSERT_TRUE(eventually([&] { return a.started == 1; }));
  pass(clock, seconds(4));
  server.down = true;
  EXPECT_TRUE(pass(clock, seconds(13), [&] { return a.lost == 1; }));
  EXPECT_FALSE(a.elector->is_leader()) << "given up before the others may take it";
  server.down = false;
  EXPECT_FALSE(pass(clock, seconds(40), [&] { return a.started == 2; }));
  EXPECT_FALSE(a.elector->is_leader()) << "lost is lost: the process is to exit";
}

TEST(LeaderElection, LostAnswersAreReadAgain) {
  FakeClock clock;
  LeaseServer server;
  Replica a(server, clock, "a");
  a.elector->start();
  ASSERT_TRUE(eventually([&] { return a.started == 1; }));
  server.lose_answers = true;
  const int before = server.updates;
  EXPECT_TRUE(pass(clock, seconds(3), [&] { return server.updates > before; }));
  server.lose_answers = false;
  pass(clock, seconds(30));
  EXPECT_TRUE(a.elector->is_leader());
  EXPECT_EQ(a.lost, 0);
}

TEST(LeaderElection, ForeignLeaseIsOverOnlyWhenItStopsChanging) {
  FakeClock clock;
  LeaseServer server;
  // A holder of another client whose clock is years off, and who keeps a field of its own.
  const auto foreign = [&](const std::string& time) {
    const std::lock_guard lock(server.mutex);
    server.lease = {{"metadata",
                     {{"name", "gobuildenv"},
                      {"resourceVersion", std::to_string(++server.version)},
                      {"labels", {{"keep", "me"}}}}},
                    {"spec",
                     {{"holderIdentity", "foreign"},
                      {"leaseDurationSeconds", 15},
                      {"leaseTransitions", 6},
                      {"renewTime", time}}}};
  };
  foreign("1999-01-01T00:00:00.000000Z");
  Replica a(server, clock, "a");
  a.elector->start();
  for (int i = 0; i < 4; ++i) {
    pass(clock, seconds(10));
    EXPECT_EQ(a.started, 0);
    foreign("2001-01-01T00:00:0" + std::to_string(i) + ".000000Z");
  }
  EXPECT_TRUE(pass(clock, seconds(25), [&] { return a.started == 1; }));
  pass(clock, seconds(10));
  EXPECT_EQ(a.elector->led_until(), parse_rfc3339("2001-01-01T00:00:03Z")) << "not our renewals";
  EXPECT_EQ(server.spec()["leaseTransitions"], 7);
  EXPECT_EQ(server.lease["metadata"]["labels"]["keep"], "me");
}

}  // namespace
}  // namespace gobuildenv::kube
