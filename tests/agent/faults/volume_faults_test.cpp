// Volumes on a disk that is read-only: which come, which do not, and what is said then.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/csi/recover_volumes.hpp"
#include "tests/agent/csi/calls.hpp"
#include "tests/agent/csi/fakes.hpp"
#include "tests/agent/faults/loop_disk.hpp"

namespace gobuildenv::agent {
namespace {

namespace fs = std::filesystem;
using namespace gobuildenv::agent::testing;  // NOLINT(google-build-using-namespace)
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;

constexpr const char* kUnit = "toolchains/go1.22.3.linux-amd64/h1-abc";

class VolumeFaults : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    disk_ = LoopDisk::make({}, why);
    if (!disk_) GTEST_SKIP() << why;
    root_ = disk_->path("root");
    write_file(goroot() + "/bin/go", "go");
    for (const PublishCall& call : {toolchain_, cache_}) {
      fs::create_directories(fs::path(call.target_path).parent_path());
    }
    provider_.on_state = [](const ToolchainWant&) {
      ToolchainState state;
      state.kind = ToolchainState::Kind::Failed;
      state.reason = "ReadOnlyDisk";
      state.message = "it cannot be fetched";
      return state;
    };
    ASSERT_EQ(start(), "");
  }
  void TearDown() override {
    for (const PublishCall& call : {toolchain_, cache_}) {
      ::umount2(call.target_path.c_str(), MNT_DETACH);
    }
  }

  /// As a process that starts; gives what it died of.
  std::string start() {
    service_.reset();
    std::vector<std::string> unreadable;
    auto files = PrivateParts::open(root_);
    auto registry = VolumeRegistry::open(root_, unreadable);
    if (!files || !registry) return files ? registry.error() : files.error();
    files_.emplace(std::move(*files));
    registry_ = std::move(*registry);
    const std::string pods = fs::canonical(pods_).string();
    if (auto done = recover_volumes(*registry_, *files_, root_, pods); !done) return done.error();
    mounter_ = make_kernel_mounter(root_, pods_);
    VolumeServiceOptions options;
    options.root = root_;
    options.pods_dir = pods_;
    service_.emplace(options, VolumeService::Parts{*registry_, *files_, *mounter_, provider_,
                                                   want_of, clock_, observer_});
    return {};
  }
  std::string publish(const PublishCall& call) {
    const auto done = service_->publish(call, {});
    return done ? std::string() : done.error().message;
  }
  std::string unpublish(const PublishCall& call) {
    const auto done = service_->unpublish(call.volume_id, call.target_path);
    return done ? std::string() : done.error().message;
  }
  [[nodiscard]] std::string goroot() const { return root_ + "/" + kUnit + "/goroot"; }
  [[nodiscard]] bool nothing_recorded() const { return fs::is_empty(root_ + "/volumes"); }

  TempFolder kubelet_;
  const std::string pods_ = kubelet_.path("pods");
  const PublishCall toolchain_ = toolchain_call(pods_);
  const PublishCall cache_ = cache_call(pods_);
  const std::string marker_ = toolchain_.target_path + "/.gobuildenv-unavailable";
  std::unique_ptr<LoopDisk> disk_;
  std::string root_;
  kube::FakeClock clock_;
  ScriptedProvider provider_{clock_};
  RecordingObserver observer_;
  std::optional<PrivateParts> files_;
  std::unique_ptr<VolumeRegistry> registry_;
  std::unique_ptr<Mounter> mounter_;
  std::optional<VolumeService> service_;
};

TEST_F(VolumeFaults, OnAReadOnlyDiskAToolchainOfTheStoreIsServed) {
  provider_.on_state = [this](const ToolchainWant&) { return ready(goroot()); };
  ASSERT_TRUE(disk_->set_read_only(true));
  ASSERT_EQ(publish(toolchain_), "");
  EXPECT_EQ(read_file(toolchain_.target_path + "/bin/go"), "go");
  EXPECT_EQ(registry_->uses(kUnit), 1U);
  EXPECT_TRUE(nothing_recorded());
  EXPECT_THAT(observer_.seen, IsSupersetOf({HasSubstr("not recorded csi-1: cannot write")}));
  ASSERT_EQ(start(), "") << "the mount alone is enough";
  EXPECT_EQ(registry_->uses(kUnit), 1U);
  ASSERT_TRUE(disk_->set_read_only(false));
  EXPECT_EQ(registry_->write_kept(), 1U);
  EXPECT_FALSE(nothing_recorded());
}

TEST_F(VolumeFaults, OnAReadOnlyDiskAPodEnds) {
  provider_.on_state = [this](const ToolchainWant&) { return ready(goroot()); };
  ASSERT_TRUE(disk_->set_read_only(true));
  ASSERT_EQ(publish(toolchain_), "");
  ASSERT_EQ(unpublish(toolchain_), "");
  EXPECT_FALSE(fs::exists(toolchain_.target_path));
  EXPECT_EQ(registry_->uses(kUnit), 0U);
}

TEST_F(VolumeFaults, OnAReadOnlyDiskThereIsAMarkerInMemory) {
  ASSERT_TRUE(disk_->set_read_only(true));
  ASSERT_EQ(publish(toolchain_), "");
  EXPECT_THAT(read_file(marker_),
              AllOf(HasSubstr("go1.22.3"), HasSubstr("ReadOnlyDisk: it cannot be fetched\n")));
  EXPECT_EQ(fs::status(marker_).permissions(), fs::perms(0444));
  EXPECT_EQ(fs::status(toolchain_.target_path).permissions(), fs::perms(0555));
  struct statvfs about {};
  ASSERT_EQ(::statvfs(toolchain_.target_path.c_str(), &about), 0);
  EXPECT_NE(about.f_flag & ST_RDONLY, 0U);
  EXPECT_NE(about.f_flag & ST_NOSUID, 0U);
  EXPECT_EQ(publish(toolchain_), "") << "again";
  ASSERT_EQ(start(), "");
  EXPECT_EQ(unpublish(toolchain_), "");
  EXPECT_FALSE(fs::exists(toolchain_.target_path));
}

TEST_F(VolumeFaults, OnAReadOnlyDiskACacheFailsAndSaysWhatToDo) {
  ASSERT_TRUE(disk_->set_read_only(true));
  EXPECT_THAT(publish(cache_), AllOf(HasSubstr(root_ + "/pods/csi-2: Read-only file system; "),
                                     HasSubstr("cordon")));
  EXPECT_FALSE(fs::exists(cache_.target_path));
  EXPECT_TRUE(registry_->records().empty());
  ASSERT_TRUE(disk_->set_read_only(false));
  EXPECT_EQ(publish(cache_), "") << "the kubelet tries again";
}

TEST_F(VolumeFaults, AFullDiskIsNoReasonToCountInMemory) {
  provider_.on_state = [this](const ToolchainWant&) { return ready(goroot()); };
  disk_->fill_inodes(0);
  EXPECT_THAT(publish(toolchain_), HasSubstr("No space left on device"));
  EXPECT_EQ(registry_->uses(kUnit), 0U) << "gobuildenv gc would not know";
}

}  // namespace
}  // namespace gobuildenv::agent
