// Toolchains are fetched to disks that are full, read-only, broken, or lose their power.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <random>
#include <string>

#include "agent/remove_tree.hpp"
#include "agent/toolchains/fetch.hpp"
#include "agent/toolchains/h1.hpp"
#include "tests/agent/faults/loop_disk.hpp"
#include "tests/agent/toolchains/file_proxy.hpp"

namespace gobuildenv::agent {
namespace {

namespace fs = std::filesystem;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using testing::LoopDisk;

const ToolchainId kFirst{{1, 22, 3}, "linux", "amd64"};
const ToolchainId kSecond{{1, 21, 6}, "linux", "amd64"};

/// What no zip makes smaller.
std::string noise(std::size_t size) {
  std::mt19937_64 random(7);
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

class StoreFaults : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    disk_ = LoopDisk::make({}, why);
    if (!disk_) GTEST_SKIP() << why;
    proxy_.add(kFirst, {{"pkg/noise", noise(400'000)}});
    proxy_.add(kSecond);
    proxy_.publish();
    options_.proxies = {{proxy_.url(), goenv::ProxyFallback::NotFound}};
    options_.database = sumdb::Database{database_.key(), ""};
    options_.extract.threads = 2;
  }

  [[nodiscard]] std::string root() const { return disk_->path("root"); }

  /// All that the agent does for a toolchain, its start included.
  tl::expected<StoredToolchain, Failure> fetch(const ToolchainId& id, const StepHook& hook = {}) {
    const auto store = ToolchainStore::open(root(), hook);
    if (!store) {
      EXPECT_NE(store.error().kind, StoreError::Kind::Invalid) << store.error().message;
      return tl::unexpected(
          Failure{store.error().kind == StoreError::Kind::DiskFull ? "DiskFull" : "start",
                  store.error().message, true});
    }
    const auto heads = open_head_store(root(), database_.key());
    if (!heads) return tl::unexpected(heads.error());
    FetchOptions options = options_;
    options.hook = hook;
    FetchStop stop;
    return fetch_toolchain(
        {id, {}}, *store, heads->get(), options, stop, [](std::uint64_t, std::uint64_t) {}, 1);
  }

  /// Whether `id` is served; what is served is whole, and nothing is kept besides.
  bool served(const ToolchainId& id) {
    const std::string incoming = root() + "/incoming";
    EXPECT_TRUE(!fs::exists(incoming) || fs::is_empty(incoming));
    const auto store = ToolchainStore::open(root());
    if (!store) return false;
    for (const StoredToolchain& stored : store->list()) {
      const auto h1 = h1_of_folder(stored.goroot(), archive_prefix(stored.id),
                                   [](std::string_view path) { return path != "src/go.mod"; });
      EXPECT_EQ(h1, stored.record.h1) << stored.folder;
    }
    return store->find({id, {}}).has_value();
  }

  testing::TempFolder folder_;
  sumdb::testing::TestDatabase database_;
  testing::FileProxy proxy_{folder_.path("proxy"), database_};
  FetchOptions options_;
  std::unique_ptr<LoopDisk> disk_;
};

/// Whatever the step is at which the disk is full: all or nothing, the reason, and it works again
/// when there is room.
TEST_F(StoreFaults, EveryAmountOfSpaceGivesAllOrNothing) {
  constexpr std::uint64_t kStep = 32 << 10U;
  int refused = 0;
  for (std::uint64_t leave = 0; leave < (4U << 20U); leave += kStep) {
    SCOPED_TRACE(leave);
    disk_->fill(leave);
    const auto stored = fetch(kFirst);
    ASSERT_EQ(served(kFirst), stored.has_value());
    if (stored) break;
    ++refused;
    ASSERT_EQ(stored.error().reason, "DiskFull") << stored.error().message;
    EXPECT_THAT(stored.error().message, HasSubstr("No space left on device"));
    EXPECT_TRUE(stored.error().may_pass) << "it is tried again";
    disk_->make_room();
    ASSERT_TRUE(fetch(kFirst).has_value());
    ASSERT_TRUE(served(kFirst));
    ASSERT_FALSE(remove_tree(root()));
  }
  EXPECT_GT(refused, 30) << "zip and files take more than a megabyte";
  EXPECT_TRUE(served(kFirst)) << "there was enough in the end";
}

TEST_F(StoreFaults, EveryNumberOfInodesGivesAllOrNothing) {
  int refused = 0;
  for (std::uint64_t leave = 0; leave < 60; ++leave) {
    SCOPED_TRACE(leave);
    disk_->fill_inodes(leave);
    const auto stored = fetch(kFirst);
    ASSERT_EQ(served(kFirst), stored.has_value());
    if (stored) break;
    ++refused;
    ASSERT_EQ(stored.error().reason, "DiskFull") << stored.error().message;
    disk_->make_room();
    ASSERT_TRUE(fetch(kFirst).has_value());
    ASSERT_FALSE(remove_tree(root()));
  }
  EXPECT_GT(refused, 20);
  EXPECT_TRUE(served(kFirst));
}

TEST_F(StoreFaults, AReadOnlyDiskServesWhatItHas) {
  ASSERT_TRUE(fetch(kFirst).has_value());
  ASSERT_TRUE(disk_->set_read_only(true));
  EXPECT_TRUE(served(kFirst)) << "also to an agent that starts now";
  const auto refused = fetch(kSecond);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().reason, "ReadOnlyDisk") << refused.error().message;
  EXPECT_THAT(refused.error().message, HasSubstr("Read-only file system"));
  EXPECT_TRUE(refused.error().may_pass);
  EXPECT_FALSE(served(kSecond));
  ASSERT_TRUE(disk_->set_read_only(false));
  EXPECT_TRUE(fetch(kSecond).has_value());
  EXPECT_TRUE(served(kSecond));
}

/// Where nothing has ever been written, the first that cannot be written is the database's head.
TEST_F(StoreFaults, AReadOnlyDiskWithoutAnythingIsNamedToo) {
  ASSERT_TRUE(ToolchainStore::open(root()).has_value());
  ASSERT_TRUE(disk_->set_read_only(true));
  const auto refused = fetch(kFirst);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().reason, "ReadOnlyDisk") << refused.error().message;
  EXPECT_THAT(refused.error().message, HasSubstr("sumdb"));
}

/// Everything that had not reached the disk is lost, then the node starts again.
TEST_F(StoreFaults, APowerCutAtEveryStepLeavesAllOrNothing) {
  for (const std::string_view at :
       {"sum", "downloaded", "extracted", "record", "sync", "rename", "folder-sync"}) {
    SCOPED_TRACE(at);
    bool reached = false;
    const auto stored = fetch(kFirst, [&](std::string_view step) {
      if (step == at) reached = disk_->cut_power();
    });
    ASSERT_TRUE(reached);
    // From here on the disk answers EIO to everything.
    ASSERT_FALSE(stored.has_value());
    EXPECT_EQ(stored.error().reason, "DiskError") << stored.error().message;
    ASSERT_TRUE(disk_->reboot());
    // The next start empties incoming/ before anything else.
    ASSERT_TRUE(ToolchainStore::open(root()).has_value());
    const bool there = served(kFirst);
    if (at == "folder-sync") {
      EXPECT_TRUE(there) << "it was durable";
    } else if (at != "rename") {
      EXPECT_FALSE(there);
    }
    ASSERT_TRUE(fetch(kFirst).has_value());
    ASSERT_TRUE(served(kFirst));
    ASSERT_FALSE(remove_tree(root()));
  }
}

/// Accepted into memory, refused by the device: nothing is published that is not on the disk.
TEST_F(StoreFaults, WritesThatFailLaterAreNotTakenForWritten) {
  ASSERT_TRUE(fetch(kSecond).has_value());
  bool limited = false;
  const auto refused = fetch(kFirst, [&](std::string_view step) {
    if (step == "downloaded") limited = disk_->limit_device(64 << 10U);
  });
  ASSERT_TRUE(limited);
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().reason, AnyOf("DiskError", "DiskFull", "ReadOnlyDisk"))
      << refused.error().message;
  const auto store = ToolchainStore::open(root());
  EXPECT_TRUE(!store || !store->find({kFirst, {}}).has_value());
}

}  // namespace
}  // namespace gobuildenv::agent
