// What the agent remembers, on disks that are full, read-only or lose their power.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "agent/csi/volume_registry.hpp"
#include "agent/durable_file.hpp"
#include "tests/agent/faults/loop_disk.hpp"

namespace gobuildenv::agent {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::LoopDisk;

constexpr const char* kUnit = "toolchains/go1.22.3.linux-amd64/h1-abc";

VolumeRecord record(const std::string& id) {
  VolumeRecord out;
  out.volume_id = id;
  out.kind = VolumeKind::Toolchain;
  out.pod = {"ci", "build-" + id, "0f-1", "default"};
  out.environment = "env";
  out.revision = "env-0123456789";
  out.toolchain = "1.22.3";
  out.target = "0f-1/volumes/kubernetes.io~csi/go/mount";
  out.source = std::string(kUnit) + "/goroot";
  out.published_at = 1000;
  return out;
}

class RecordFaults : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    disk_ = LoopDisk::make({}, why);
    if (!disk_) GTEST_SKIP() << why;
  }
  std::unique_ptr<VolumeRegistry> open() {
    std::vector<std::string> unreadable;
    auto registry = VolumeRegistry::open(disk_->path(), unreadable);
    EXPECT_TRUE(registry.has_value()) << registry.error();
    return *std::move(registry);
  }
  std::unique_ptr<LoopDisk> disk_;
};

TEST_F(RecordFaults, AVolumeThatCannotBeRecordedIsNotCounted) {
  const auto registry = open();
  ASSERT_TRUE(registry->put(record("csi-1")).has_value());
  const struct {
    const char* what;
    void (*fill)(LoopDisk&);
  } kCases[] = {{"blocks", [](LoopDisk& disk) { disk.fill(0); }},
                {"inodes", [](LoopDisk& disk) { disk.fill_inodes(0); }}};
  for (const auto& [what, fill] : kCases) {
    SCOPED_TRACE(what);
    fill(*disk_);
    const auto refused = registry->put(record("csi-2"));
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error(), HasSubstr("No space left on device"));
    EXPECT_THAT(refused.error(), HasSubstr("csi-2"));
    EXPECT_FALSE(registry->find("csi-2").has_value());
    EXPECT_EQ(registry->uses(kUnit), 1U);
    // As after a restart; and giving up a volume needs no room.
    const auto again = open();
    EXPECT_EQ(again->records().size(), 1U);
    ASSERT_TRUE(again->remove("csi-1").has_value());
    EXPECT_EQ(again->uses(kUnit), 0U);
    disk_->make_room();
    ASSERT_TRUE(again->put(record("csi-1")).has_value());
    ASSERT_TRUE(again->put(record("csi-2")).has_value());
    EXPECT_EQ(open()->uses(kUnit), 2U);
    ASSERT_TRUE(again->remove("csi-2").has_value());
  }
}

TEST_F(RecordFaults, AUseIsKeptUntilItsRecordIsGone) {
  const auto registry = open();
  ASSERT_TRUE(registry->put(record("csi-1")).has_value());
  ASSERT_TRUE(disk_->set_read_only(true));
  const auto kept = registry->remove("csi-1");
  ASSERT_FALSE(kept.has_value());
  EXPECT_THAT(kept.error(), HasSubstr("Read-only file system"));
  EXPECT_EQ(registry->uses(kUnit), 1U);
  EXPECT_FALSE(registry->put(record("csi-2")).has_value());
  EXPECT_EQ(registry->uses(kUnit), 1U);
  EXPECT_EQ(open()->uses(kUnit), 1U);
  ASSERT_TRUE(disk_->set_read_only(false));
  EXPECT_TRUE(registry->remove("csi-1").has_value());
  EXPECT_EQ(registry->uses(kUnit), 0U);
}

TEST_F(RecordFaults, AMountIsCountedAlsoWhereItCannotBeWritten) {
  const auto registry = open();
  ASSERT_TRUE(disk_->set_read_only(true));
  for (const char* id : {"csi-1", "csi-2"}) {
    const auto kept = registry->keep(record(id));
    ASSERT_FALSE(kept.has_value());
    EXPECT_THAT(kept.error(), HasSubstr("Read-only file system"));
  }
  EXPECT_EQ(registry->uses(kUnit), 2U);
  EXPECT_FALSE(registry->write_kept().has_value());
  EXPECT_TRUE(registry->remove("csi-2").has_value()) << "nothing of it is on the disk";
  EXPECT_EQ(registry->uses(kUnit), 1U);
  EXPECT_EQ(open()->uses(kUnit), 0U);
  ASSERT_TRUE(disk_->set_read_only(false));
  EXPECT_EQ(registry->write_kept(), 1U);
  EXPECT_EQ(registry->write_kept(), 0U);
  EXPECT_EQ(open()->records(), registry->records());
  EXPECT_EQ(open()->uses(kUnit), 1U);
}

TEST_F(RecordFaults, APowerCutLeavesTheOldFileOrTheNewOne) {
  const std::string path = disk_->path("ages.json");
  const std::string before(5000, 'o');
  const std::string after(9000, 'n');
  for (const std::string_view at : {"file-written", "file-renamed"}) {
    SCOPED_TRACE(at);
    ASSERT_FALSE(write_durably(path, before));
    EXPECT_TRUE(write_durably(path, after, [&](std::string_view step) {
      if (step == at) {
        EXPECT_TRUE(disk_->cut_power());
      }
    })) << "it could not be finished, and says so";
    ASSERT_TRUE(disk_->reboot());
    EXPECT_THAT(testing::read_file(path), ::testing::AnyOf(before, after));
  }
  ASSERT_FALSE(write_durably(path, after));
  ASSERT_TRUE(disk_->cut_power());
  ASSERT_TRUE(disk_->reboot());
  EXPECT_EQ(testing::read_file(path), after) << "what was reported written is there";
}

TEST_F(RecordFaults, AFullDiskKeepsTheOldFile) {
  const std::string path = disk_->path("ages.json");
  ASSERT_FALSE(write_durably(path, "old"));
  disk_->fill(0);
  EXPECT_EQ(write_durably(path, std::string(9000, 'n')), std::errc::no_space_on_device);
  EXPECT_EQ(testing::read_file(path), "old");
  EXPECT_FALSE(fs::exists(path + ".new"));
}

}  // namespace
}  // namespace gobuildenv::agent
