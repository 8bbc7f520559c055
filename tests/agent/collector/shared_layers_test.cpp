// Layers of a cache hold the same files: what one gives up stays on the disk while another has it.
#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "agent/collector/collector.hpp"
#include "tests/agent/collector/node_root.hpp"

namespace gobuildenv::agent::collector {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using testing::exists;
using testing::FixedRoots;
using testing::TempFolder;
using testing::TestClock;

constexpr const char* kOld = "caches/ns/env/mod/lower/1";
constexpr const char* kNew = "caches/ns/env/mod/lower/2";
constexpr const char* kOldBuilds = "caches/ns/env/build/lower/1";
constexpr const char* kNewBuilds = "caches/ns/env/build/lower/2";

/// Two layers of each cache; the newer one has all of the older one's files.
class SharedLayers : public ::testing::Test {
 protected:
  SharedLayers() {
    testing::make_module(at(kOld), "example.com/a", "v1.0.0", 40, 9000);
    for (int i = 0; i < 40; ++i) {
      testing::make_build(at(kOldBuilds), "0a" + std::to_string(100 + i),
                          "0b" + std::to_string(100 + i), clock_.wall);
    }
    link_all(kOld, kNew);
    link_all(kOldBuilds, kNewBuilds);
    limits_.node = {.unused_for = hours(1000), .max_bytes = 1};
    static_cast<void>(run({Root{"", "everything"}}));
    clock_.pass(hours(5));
  }
  [[nodiscard]] std::string at(const std::string& name) const { return folder_.path(name); }
  void link_all(const char* from, const char* to) const {
    fs::create_directories(at(to));
    for (const auto& entry : fs::recursive_directory_iterator(at(from))) {
      if (entry.is_directory()) fs::permissions(entry.path(), fs::perms(0755));
    }
    fs::copy(at(from), at(to), fs::copy_options::recursive | fs::copy_options::create_hard_links);
  }
  RunReport run(std::vector<Root> roots) {
    if (!collector_) collector_.emplace(testing::open_collector(folder_.path(), clock_).value());
    auto report = collector_->run(FixedRoots(std::move(roots)), limits_);
    EXPECT_TRUE(report.has_value());
    return report ? *std::move(report) : RunReport();
  }
  [[nodiscard]] bool has_builds() const {
    return exists(at(kNewBuilds) + "/0a/" + testing::hash_of("0a100") + "-a");
  }

  TempFolder folder_;
  TestClock clock_;
  Limits limits_ = testing::without_watermarks();
  std::optional<Collector> collector_;
};

TEST_F(SharedLayers, NothingGoesForRoomThatItWouldNotGive) {
  const std::vector<Root> held{{kOld, "volume csi-1"}, {kOldBuilds, "volume csi-2"}};
  const RunReport report = run(held);
  EXPECT_TRUE(exists(at(kNew) + "/example.com/a@v1.0.0/go.mod"));
  EXPECT_TRUE(exists(at(kNew) + "/cache/download/example.com/a/@v/v1.0.0.zip"));
  EXPECT_TRUE(has_builds());
  EXPECT_EQ(report.freed, Totals());
  EXPECT_TRUE(report.plan.short_of_space);
  for (const Decision& stays : report.plan.stays) {
    const Unit& unit = report.inventory.units[stays.unit];
    if (unit.path.find("/lower/2") == std::string::npos) continue;
    EXPECT_EQ(stays.reason, Reason::SharedFiles) << unit.path;
    EXPECT_NE(explain(stays, report.inventory, limits_, report.disk).find("another layer"),
              std::string::npos);
  }

  // The pods have ended: first the replaced layers go, then what the newest ones hold alone.
  clock_.pass(hours(1));
  static_cast<void>(run({}));
  EXPECT_FALSE(exists(at(kOld)));
  EXPECT_FALSE(exists(at(kOldBuilds)));
  clock_.pass(hours(1));
  const RunReport last = run({});
  EXPECT_FALSE(exists(at(kNew) + "/example.com/a@v1.0.0"));
  EXPECT_FALSE(has_builds());
  EXPECT_GT(last.freed.bytes, 40U * 8192U);
}

/// A limit of age is no matter of room.
TEST_F(SharedLayers, WhatIsOldGoesAllTheSame) {
  limits_.node = {.unused_for = hours(4), .max_bytes = std::uint64_t{1} << 40U};
  static_cast<void>(run({{kOld, "volume csi-1"}, {kOldBuilds, "volume csi-2"}}));
  EXPECT_FALSE(exists(at(kNew) + "/example.com/a@v1.0.0"));
  EXPECT_TRUE(exists(at(kOld) + "/example.com/a@v1.0.0/go.mod"));
}

}  // namespace
}  // namespace gobuildenv::agent::collector
