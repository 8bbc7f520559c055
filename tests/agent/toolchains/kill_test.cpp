// The agent is killed at random instants while it fetches; what it leaves is looked at each time.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "agent/remove_tree.hpp"
#include "agent/toolchains/fetch.hpp"
#include "agent/toolchains/h1.hpp"
#include "tests/agent/die_after.hpp"
#include "tests/agent/temp_folder.hpp"
#include "tests/agent/toolchains/file_proxy.hpp"

namespace gobuildenv::agent {
namespace {

constexpr int kKills = 500;
constexpr int kMostTurns = 10 * kKills;
constexpr int kReleases = 4;

ToolchainId release(int patch) { return {{1, 22, patch}, "linux", "amd64"}; }

/// What the agent does at its start: everything that is not there is fetched.
void fetch_all(const std::string& root, const FetchOptions& options) {
  const auto store = ToolchainStore::open(root);
  if (!store) ::_exit(2);
  const auto heads = open_head_store(root, options.database->key);
  if (!heads) ::_exit(3);
  FetchStop stop;
  for (int patch = 0; patch < kReleases; ++patch) {
    const ToolchainWant want{release(patch), {}};
    if (store->find(want)) continue;
    if (!fetch_toolchain(
            want, *store, heads->get(), options, stop, [](std::uint64_t, std::uint64_t) {}, 1)) {
      ::_exit(4);
    }
  }
  ::_exit(0);
}

TEST(Kills, NeverLeaveAPartialToolchain) {
  // In memory where possible: a sync of a busy disk would make it an hour.
  const bool shared_memory = ::access("/dev/shm", W_OK) == 0;
  const testing::TempFolder folder(shared_memory ? "/dev/shm" : "/tmp");
  sumdb::testing::TestDatabase database;
  testing::FileProxy proxy(folder.path("proxy"), database);
  for (int patch = 0; patch < kReleases; ++patch) proxy.add(release(patch));
  proxy.publish();
  FetchOptions options;
  options.proxies = {{proxy.url(), goenv::ProxyFallback::NotFound}};
  options.database = sumdb::Database{database.key(), ""};
  options.extract.threads = 2;
  const std::string root = folder.path("root");

  std::mt19937 random(22);
  int killed = 0;  // with something left to fetch
  int published = 0;
  int stored = 0;
  std::int64_t whole = 15'000;  // microseconds that all of it takes, about
  std::uint64_t head_size = 0;
  for (int turn = 0; killed < kKills && turn < kMostTurns; ++turn) {
    const std::chrono::microseconds life(random() % static_cast<std::uint64_t>(whole));
    const pid_t child = ::fork();
    if (child == 0) {
      testing::die_after(life);
      fetch_all(root, options);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0)
        << "turn " << turn << ": the agent ended with " << WEXITSTATUS(status);
    killed += WIFSIGNALED(status) && stored < kReleases ? 1 : 0;
    // Later when it is killed too early to get anywhere, earlier when it is done before.
    whole = std::clamp<std::int64_t>(WIFSIGNALED(status) ? whole * 21 / 20 : whole * 9 / 10, 500,
                                     1'000'000);

    const auto store = ToolchainStore::open(root);
    ASSERT_TRUE(store) << store.error().message;
    ASSERT_TRUE(std::filesystem::is_empty(root + "/incoming")) << turn;
    stored = 0;
    for (const StoredToolchain& one : store->list()) {
      const auto h1 = h1_of_folder(one.goroot(), archive_prefix(one.id),
                                   [](std::string_view path) { return path != "src/go.mod"; });
      ASSERT_EQ(h1, one.record.h1) << "turn " << turn << ": " << one.folder;
      // Some are collected, so that there is always something to fetch.
      if (random() % 2 == 0) {
        ASSERT_FALSE(remove_tree(one.folder));
        published += 1;
      } else {
        stored += 1;
      }
    }
    const auto heads = open_head_store(root, database.key());
    ASSERT_TRUE(heads) << heads.error().message;
    const auto head = (*heads)->current();
    ASSERT_GE(head ? head->head.size : 0, head_size) << "the memory of heads went back";
    head_size = head ? head->head.size : 0;
  }
  EXPECT_EQ(killed, kKills) << "the others came too late to show anything";
  EXPECT_GT(published, 10) << "most came too early to show anything";
}

}  // namespace
}  // namespace gobuildenv::agent
