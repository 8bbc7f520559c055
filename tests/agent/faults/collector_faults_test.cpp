// The collector on disks that are full, read-only, broken, or lose their power.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <string>

#include "agent/collector/trash_emptier.hpp"
#include "tests/agent/collector/node_root.hpp"
#include "tests/agent/faults/loop_disk.hpp"

namespace gobuildenv::agent::collector {
namespace {

namespace fs = std::filesystem;
using agent::testing::LoopDisk;
using testing::everything_goes;
using testing::exists;
using testing::expect_sound;
using testing::FixedRoots;
using ::testing::HasSubstr;
using testing::kModules;
using testing::kToolchain;
using testing::NodeRoot;
using testing::TestClock;

const std::string kKept = std::string(kModules) + "/keep.example/k@v1.0.0";

class CollectorFaults : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    disk_ = LoopDisk::make({.mib = 48, .inodes = 8192}, why);
    if (!disk_) GTEST_SKIP() << why;
    root_ = std::make_unique<NodeRoot>(disk_->path("root"));
    static_cast<void>(run({}, FixedRoots({Root{"", "everything"}})));
    clock_.pass(std::chrono::hours(10));
    root_->fill();
  }

  /// A run as of an agent that starts now; only one module is in use.
  tl::expected<RunReport, std::string> run(StepHook hook = {},
                                           const FixedRoots& roots = FixedRoots({{kKept, "x"}})) {
    auto collector = testing::open_collector(root_->path(), clock_, std::move(hook));
    if (!collector) return tl::unexpected(collector.error());
    return collector->run(roots, everything_goes());
  }
  EmptyReport empty(const StepHook& hook = {}) {
    const std::atomic<bool> stop = false;
    const auto trash = Trash::open(testing::open_path(root_->path()));
    if (!trash) {
      EmptyReport report;
      report.failed = 1;
      report.error = trash.error().message();
      return report;
    }
    return empty_trash(*trash, {}, stop, hook);
  }
  void expect_all_collected() {
    const auto report = run();
    ASSERT_TRUE(report.has_value()) << report.error();
    EXPECT_FALSE(report->problem.has_value()) << report->problem->second;
    EXPECT_EQ(report->failures, 0U);
    EXPECT_FALSE(exists(root_->at(kToolchain)));
    EXPECT_FALSE(exists(root_->at(kModules) + "/example.com/a@v1.0.0"));
    EXPECT_TRUE(exists(root_->at(kKept)));
    const EmptyReport emptied = empty();
    EXPECT_TRUE(emptied.finished) << emptied.error;
  }

  std::unique_ptr<LoopDisk> disk_;
  std::unique_ptr<NodeRoot> root_;
  TestClock clock_;
};

/// Without a free block even the trash's own folder cannot grow: units go as far as there are free
/// places in it, and those that do not go stay whole.
TEST_F(CollectorFaults, AFullDiskIsEmptiedInSeveralRuns) {
  constexpr int kMany = 400;
  for (int i = 0; i < kMany; ++i) {
    testing::make_module(root_->at(kModules), "many.example/m" + std::to_string(i), "v1.0.0", 1,
                         100);
  }
  disk_->fill(0);
  disk_->fill_inodes(0);
  int runs = 0;
  for (bool left = true; left && runs < 10; ++runs) {
    const auto report = run();
    ASSERT_TRUE(report.has_value()) << report.error();
    if (runs == 0) {
      ASSERT_TRUE(report->problem.has_value());
      EXPECT_EQ(report->problem->first, "DiskFull") << report->problem->second;
      EXPECT_THAT(report->problem->second, HasSubstr("ages.json"));
      EXPECT_GT(report->freed.inodes, 100U);
    }
    expect_sound(*root_);
    const EmptyReport emptied = empty();
    EXPECT_TRUE(emptied.finished) << emptied.error;
    left = report->failures > 0;
  }
  EXPECT_LT(runs, 10);
  EXPECT_FALSE(
      exists(root_->at(kModules) + "/many.example/m" + std::to_string(kMany - 1) + "@v1.0.0"));
  EXPECT_TRUE(exists(root_->at(kKept)));
}

TEST_F(CollectorFaults, AReadOnlyDiskIsReportedAndLeftAlone) {
  fs::create_directories(root_->at("trash/unit"));
  agent::testing::write_file(root_->at("trash/unit/file"), "x");
  ASSERT_TRUE(disk_->set_read_only(true));
  const auto report = run();
  ASSERT_TRUE(report.has_value()) << report.error();
  ASSERT_TRUE(report->problem.has_value());
  EXPECT_EQ(report->problem->first, "ReadOnlyFileSystem") << report->problem->second;
  EXPECT_TRUE(report->outcomes.empty());
  const EmptyReport emptied = empty();
  EXPECT_FALSE(emptied.finished);
  EXPECT_THAT(emptied.error, HasSubstr("Read-only file system"));
  expect_sound(*root_);
  ASSERT_TRUE(disk_->set_read_only(false));
  expect_all_collected();
}

/// GBE_SEED where that is set, to see again what failed.
unsigned any_seed() {
  const char* given = std::getenv("GBE_SEED");
  return given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device{}();
}

/// With everything lost that was not on the disk. Each of the first 60 steps; of the 220 others,
/// most of which empty the trash, whose entries are alike, some ten, others each time: all of them
/// would take a minute.
TEST_F(CollectorFaults, APowerCutAtEveryStepLeavesNothingHalf) {
  const unsigned seed = any_seed();
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> stride(1, 39);
  std::cout << "GBE_SEED=" << seed << '\n';
  int at = 1;
  for (bool reached = true; reached; at += at < 60 ? 1 : stride(random)) {
    SCOPED_TRACE("GBE_SEED=" + std::to_string(seed) + " step " + std::to_string(at));
    // What the cut may take back must not be what the test has just made.
    root_->fill();
    ASSERT_TRUE(disk_->reboot());
    int steps = 0;
    reached = false;
    const StepHook hook = [&](std::string_view) {
      if (++steps == at) reached = disk_->cut_power();
    };
    const auto report = run(hook);
    if (reached) {
      ASSERT_TRUE(report.has_value()) << report.error();
      if (steps > at) {
        EXPECT_TRUE(report->problem.has_value() || report->failures > 0) << "nothing was said";
      }
    } else {
      const EmptyReport emptied = empty(hook);
      EXPECT_TRUE(emptied.finished || reached) << emptied.error;
    }
    ASSERT_TRUE(disk_->reboot());
    expect_sound(*root_);
  }
  EXPECT_GT(at, 50);
  root_->fill();
  expect_all_collected();
}

TEST_F(CollectorFaults, ADiskThatAnswersNothingIsAnIOError) {
  ASSERT_TRUE(disk_->reboot());  // all of it is on the disk
  ASSERT_TRUE(disk_->cut_power());
  const auto report = run();
  ASSERT_TRUE(report.has_value()) << report.error();
  ASSERT_TRUE(report->problem.has_value());
  EXPECT_EQ(report->problem->first, "IOError") << report->problem->second;
  EXPECT_EQ(report->freed.inodes, 0U) << "nothing is said to be gone that is there after a reboot";
  ASSERT_TRUE(disk_->reboot());
  EXPECT_TRUE(exists(root_->at(kToolchain)));
  expect_sound(*root_);
  expect_all_collected();
}

TEST_F(CollectorFaults, ABrokenSectorIsNamedAndTheRestIsCollected) {
  // Folders made last lie last, behind a file that takes the room between.
  agent::testing::write_file(disk_->path("between"), std::string(8 << 20U, 'b'));
  const std::string broken = "toolchains/go1.21.6.linux-amd64/h1-y";
  for (int i = 0; i < 300; ++i) {
    agent::testing::write_file(root_->at(broken) + "/goroot/src/f" + std::to_string(i), "go");
  }
  ASSERT_TRUE(disk_->break_sectors_from(root_->at(broken) + "/goroot/src"));
  const auto report = run();
  ASSERT_TRUE(report.has_value()) << report.error();
  ASSERT_TRUE(report->problem.has_value());
  EXPECT_EQ(report->problem->first, "IOError");
  EXPECT_THAT(report->problem->second, HasSubstr("src: Input/output error"));
  EXPECT_FALSE(exists(root_->at(kToolchain)));
  EXPECT_FALSE(exists(root_->at(kModules) + "/example.com/a@v1.0.0"));
  // A rename does not read it: gone from sight whole, and the trash says what it cannot remove.
  EXPECT_FALSE(exists(root_->at(broken)));
  const EmptyReport emptied = empty();
  EXPECT_FALSE(emptied.finished);
  EXPECT_THAT(emptied.error, HasSubstr("goroot/src: "));
  EXPECT_GT(emptied.entries, 200U) << "everything else in the trash is removed";
  disk_->heal();
  ASSERT_TRUE(disk_->reboot());
  const EmptyReport again = empty();
  EXPECT_TRUE(again.finished) << again.error;
  expect_all_collected();
}

}  // namespace
}  // namespace gobuildenv::agent::collector
