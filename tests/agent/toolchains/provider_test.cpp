#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <thread>

#include "agent/remove_tree.hpp"
#include "agent/toolchains/fetching_provider.hpp"
#include "tests/agent/temp_folder.hpp"
#include "tests/agent/toolchains/module_proxy.hpp"

namespace gobuildenv::agent {
namespace {

using Kind = ToolchainState::Kind;
using kube::testing::Reply;
using std::chrono::seconds;
using testing::ModuleProxy;
using testing::toolchain;

class ProviderTest : public ::testing::Test {
 protected:
  ProviderTest() : store(*ToolchainStore::open(folder.path("root"))) {
    options.fetch.proxies = {{proxy.url(), goenv::ProxyFallback::NotFound}};
    options.fetch.database = sumdb::Database{proxy.database.key(), ""};
    options.changed = [this](const ToolchainWant& want, const ToolchainState& state,
                             const FetchFigures& seen) {
      const std::lock_guard lock(mutex);
      changes.emplace_back(want, state);
      figures.push_back(seen);
    };
    provider = make();
  }
  std::unique_ptr<ToolchainProvider> make() {
    return make_toolchain_provider(store, options, clock, [] { return 0.0; });
  }
  /// Waits, in real time, until the state is another than Fetching.
  ToolchainState settled(const ToolchainWant& want) {
    for (;;) {
      const auto state = provider->state(want);
      if (state.kind != Kind::Fetching) return state;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  /// The changes so far, `count` at least: they are told after whoever waits has been woken.
  std::vector<std::pair<ToolchainWant, ToolchainState>> told(std::size_t count) {
    for (int i = 0; i < 20'000; ++i) {
      {
        const std::lock_guard lock(mutex);
        if (changes.size() >= count) break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const std::lock_guard lock(mutex);
    return changes;
  }

  testing::TempFolder folder;
  ModuleProxy proxy;
  ToolchainStore store;
  kube::FakeClock clock;
  ProviderOptions options;
  std::mutex mutex;
  std::vector<std::pair<ToolchainWant, ToolchainState>> changes;
  std::vector<FetchFigures> figures;  ///< of each change
  std::unique_ptr<ToolchainProvider> provider;
};

TEST_F(ProviderTest, FetchesWhatIsAbsentOnceForAll) {
  const ToolchainWant want{toolchain(22, 3), {}};
  const std::string h1 = proxy.add(want.id);
  EXPECT_EQ(provider->state(want).kind, Kind::Absent);
  EXPECT_TRUE(provider->entries().empty());
  std::vector<std::jthread> callers;
  for (int i = 0; i < 5; ++i) {
    callers.emplace_back([&] {
      const auto state = provider->wait(want, clock.now() + seconds(90));
      EXPECT_EQ(state.kind, Kind::Ready) << state.message;
    });
  }
  callers.clear();
  const auto ready = provider->ensure(want);
  EXPECT_EQ(ready.kind, Kind::Ready);
  EXPECT_EQ(ready.h1, h1);
  EXPECT_EQ(testing::read_file(ready.goroot + "/VERSION"), "go1.22.3\n");
  EXPECT_EQ(proxy.asked(".zip"), 1U);
  ASSERT_EQ(provider->entries().size(), 1U);
  EXPECT_EQ(provider->entries()[0].state, ready);
  const auto seen = told(2);
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].second.kind, Kind::Fetching);
  EXPECT_EQ(seen[1].second.kind, Kind::Ready);
  const std::lock_guard lock(mutex);
  EXPECT_EQ(figures[0].downloaded, 0U);
  EXPECT_GT(figures[1].downloaded, 0U);
  ASSERT_EQ(provider->stored().size(), 1U);
  EXPECT_EQ(provider->stored()[0].record.h1, h1);
}

TEST_F(ProviderTest, AStoredToolchainNeedsNoProxy) {
  const ToolchainWant want{toolchain(22, 3), {}};
  proxy.add(want.id);
  ASSERT_EQ(provider->wait(want, clock.now() + seconds(90)).kind, Kind::Ready);
  proxy.status = 500;
  provider = make();
  EXPECT_EQ(provider->state(want).kind, Kind::Ready);
  EXPECT_EQ(provider->ensure(want).kind, Kind::Ready);
}

TEST_F(ProviderTest, WhatWasCollectedIsFetchedAgain) {
  const ToolchainWant want{toolchain(22, 3), {}};
  proxy.add(want.id);
  ASSERT_EQ(provider->wait(want, clock.now() + seconds(90)).kind, Kind::Ready);
  ASSERT_FALSE(remove_tree(store.find(want)->folder));
  EXPECT_TRUE(provider->entries().empty());
  EXPECT_EQ(provider->wait(want, clock.now() + seconds(90)).kind, Kind::Ready);
  EXPECT_EQ(proxy.asked(".zip"), 2U);
}

TEST_F(ProviderTest, FailuresBackOffAndPass) {
  const ToolchainWant want{toolchain(22, 3), {}};
  proxy.add(want.id);
  proxy.status = 503;
  for (const int wait : {5, 10, 20}) {
    provider->ensure(want);
    const auto failed = settled(want);
    EXPECT_EQ(failed.kind, Kind::Failed);
    EXPECT_EQ(failed.reason, "SumdbUnreachable");
    EXPECT_EQ(failed.retry_at, clock.now() + seconds(wait));
    const auto before = proxy.server.requests().size();
    EXPECT_EQ(provider->ensure(want).kind, Kind::Failed) << "its time has not come";
    EXPECT_EQ(proxy.server.requests().size(), before);
    clock.advance(seconds(wait));
  }
  {
    const std::lock_guard lock(proxy.mutex);
    proxy.status = 0;
  }
  const auto again = provider->ensure(want);
  EXPECT_EQ(again.kind, Kind::Fetching);
  EXPECT_EQ(again.reason, "SumdbUnreachable") << "what went wrong is told until it goes right";
  const auto ready = settled(want);
  EXPECT_EQ(ready.kind, Kind::Ready);
  EXPECT_EQ(ready.reason, "");
}

TEST_F(ProviderTest, AWaitGoesThroughWhatPassesAndEndsWithWhatDoesNot) {
  const ToolchainWant want{toolchain(22, 3), {}};
  proxy.add(want.id);
  proxy.status = 503;
  std::jthread time([this](const std::stop_token& stop) {
    for (int i = 0; !stop.stop_requested(); ++i) {
      const auto looks = clock.looks();
      while (clock.looks() == looks && !stop.stop_requested()) std::this_thread::yield();
      clock.advance(seconds(1));
      if (i == 8) {
        const std::lock_guard lock(proxy.mutex);
        proxy.status = 0;
      }
    }
  });
  const auto ready = provider->wait(want, clock.now() + seconds(3600));
  EXPECT_EQ(ready.kind, Kind::Ready) << ready.message;
  const auto absent = provider->wait({toolchain(22, 99), {}}, clock.now() + std::chrono::hours(24));
  EXPECT_EQ(absent.kind, Kind::Failed);
  EXPECT_EQ(absent.reason, "NotFound");
  EXPECT_EQ(absent.retry_at - clock.now() <= seconds(300), true);
}

TEST_F(ProviderTest, AWaitEndsAtItsDeadline) {
  const ToolchainWant want{toolchain(22, 3), {}};
  proxy.add(want.id);
  proxy.instead.insert_or_assign(
      "/golang.org/toolchain/@v/" + want.id.module_version() + ".zip",
      Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\nPK").hold());
  const auto first = provider->wait(want, clock.now());
  EXPECT_EQ(first.kind, Kind::Fetching);
  while (provider->state(want).bytes == 0) std::this_thread::yield();
  const auto state = provider->state(want);
  EXPECT_EQ(state.bytes, 2U);
  EXPECT_EQ(state.total_bytes, 9000U);
  provider.reset();  // ends the download and joins
}

TEST_F(ProviderTest, SeveralAreFetchedAtOnce) {
  // Each download waits until all three have begun.
  std::mutex gate;
  std::condition_variable all;
  int begun = 0;
  options.fetch.hook = [&](std::string_view step) {
    if (step != "sum") return;
    std::unique_lock lock(gate);
    begun += 1;
    all.notify_all();
    all.wait(lock, [&] { return begun >= 3; });
  };
  provider = make();
  std::vector<ToolchainWant> wants;
  for (const int patch : {1, 2, 3}) {
    wants.push_back({toolchain(22, patch), {}});
    proxy.add(wants.back().id);
  }
  for (const auto& want : wants) provider->ensure(want);
  for (const auto& want : wants) EXPECT_EQ(settled(want).kind, Kind::Ready);
  EXPECT_EQ(provider->entries().size(), 3U);
}

TEST_F(ProviderTest, WhatAPodWaitsForComesBeforeWhatIsFetchedAhead) {
  std::mutex gate;
  std::condition_variable opened;
  bool open = false;
  options.parallel = 1;
  options.fetch.hook = [&](std::string_view step) {
    if (step != "sum") return;
    std::unique_lock lock(gate);
    opened.wait(lock, [&] { return open; });
  };
  provider = make();
  std::vector<ToolchainWant> wants;
  for (const int patch : {1, 2, 3, 4}) {
    wants.push_back({toolchain(22, patch), {}});
    proxy.add(wants.back().id);
  }
  provider->ensure(wants[0]);
  ASSERT_EQ(told(1).size(), 1U) << "it is being fetched";
  provider->ensure(wants[1]);
  provider->ensure(wants[2]);
  EXPECT_EQ(provider->wait(wants[3], clock.now()).kind, Kind::Fetching);
  EXPECT_EQ(provider->wait(wants[2], clock.now()).kind, Kind::Fetching);
  {
    const std::lock_guard lock(gate);
    open = true;
  }
  opened.notify_all();
  std::vector<ToolchainWant> order;
  for (const auto& [want, state] : told(8)) {
    if (state.kind == Kind::Fetching) order.push_back(want);
  }
  EXPECT_THAT(order, ::testing::ElementsAre(wants[0], wants[2], wants[3], wants[1]));
}

TEST_F(ProviderTest, APinnedWantOfTheSameToolchainWaitsAndShares) {
  const ToolchainId id = toolchain(22, 3);
  const ToolchainWant shared{id, {}};
  const ToolchainWant pinned{id, PinnedSum{proxy.add(id), "uid-a"}};
  provider->ensure(shared);
  provider->ensure(pinned);
  EXPECT_EQ(settled(shared).kind, Kind::Ready);
  EXPECT_EQ(settled(pinned).goroot, settled(shared).goroot);
  EXPECT_EQ(proxy.asked(".zip"), 1U);
}

TEST_F(ProviderTest, ADamagedMemoryOfHeadsIsReported) {
  const ToolchainWant want{toolchain(22, 3), {}};
  proxy.add(want.id);
  testing::write_file(folder.path("root/sumdb/sum.example/head"), "forged");
  provider->ensure(want);
  const auto failed = settled(want);
  EXPECT_EQ(failed.reason, "DiskError");
  EXPECT_THAT(failed.message, ::testing::HasSubstr("remove it to start over"));
}

}  // namespace
}  // namespace gobuildenv::agent
