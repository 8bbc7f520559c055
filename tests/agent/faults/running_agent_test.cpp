// A whole agent on a disk that fills up and becomes read-only: what its GoNodeCache says.
#include "tests/agent/faults/running_agent.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace gobuildenv::agent {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::kUnit;
using testing::RunningAgent;
using Json = nlohmann::json;

class BindMount {
 public:
  BindMount(const std::string& source, std::string target)
      : target_(std::move(target)),
        done_(::mount(source.c_str(), target_.c_str(), nullptr, MS_BIND, nullptr) == 0) {}
  ~BindMount() { ::umount2(target_.c_str(), MNT_DETACH); }
  BindMount(const BindMount&) = delete;
  BindMount& operator=(const BindMount&) = delete;
  [[nodiscard]] bool done() const { return done_; }

 private:
  std::string target_;
  bool done_;
};

TEST_F(RunningAgent, AboveTheHighWatermarkRoomIsMade) {
  until("a look at the disk", [&] { return client_.status().contains("disk"); });
  EXPECT_TRUE(fs::exists(root() + "/" + kUnit)) << "there is room";
  disk_->fill(3 << 20U);
  until("the unit to go", [&] { return !fs::exists(root() + "/" + kUnit); });
  const Json::json_pointer reclaimed("/collection/reclaimed");
  until("it to be told", [&] { return client_.status().value(reclaimed, "") == "6Mi"; });
  until("room", [&] { return fs::space(root()).available > 8U << 20U; });
}

TEST_F(RunningAgent, AFullDiskIsACondition) {
  fs::remove_all(root() + "/toolchains");
  // Again and again: what the agent has just replaced is free only after the first time.
  until("DiskFull", [&] {
    disk_->fill(0);
    return !client_.told("DiskFull").empty();
  });
  EXPECT_THAT(client_.told("DiskFull"), HasSubstr("No space left on device"));
  disk_->make_room();
  until("it to be over", [&] { return client_.told("DiskFull").empty(); });
}

TEST_F(RunningAgent, AReadOnlyDiskIsAConditionAlsoAfterARestart) {
  until("a look at the disk", [&] { return client_.status().contains("disk"); });
  make_read_only(true);
  until("ReadOnlyFileSystem", [&] { return !client_.told("ReadOnlyFileSystem").empty(); });
  EXPECT_THAT(client_.told("ReadOnlyFileSystem"), HasSubstr("Read-only file system"));
  client_.forget();
  start();
  if (HasFatalFailure()) return;
  until("it to be told again", [&] { return !client_.told("ReadOnlyFileSystem").empty(); });
  EXPECT_TRUE(fs::exists(root() + "/" + kUnit + "/goroot/bin/go"));
  make_read_only(false);
  until("it to be over", [&] { return client_.told("ReadOnlyFileSystem").empty(); });
}

/// The record was lost, what it tells of is mounted in a pod.
TEST_F(RunningAgent, AMountIsAdoptedOnAReadOnlyDiskAndRecordedWhenItCanBe) {
  const std::string pod = kubelet_.path("pods/0f-1/volumes/kubernetes.io~csi/go");
  fs::create_directories(pod + "/mount");
  const BindMount mounted(root() + "/" + kUnit + "/goroot", pod + "/mount");
  ASSERT_TRUE(mounted.done());
  make_read_only(true);
  start();
  if (HasFatalFailure()) return;
  until("the disk's condition", [&] { return !client_.told("ReadOnlyFileSystem").empty(); });
  EXPECT_THAT(metrics_.text(), HasSubstr(R"(gobuildenv_csi_volumes{kind="toolchain"} 1)"));
  EXPECT_TRUE(fs::is_empty(root() + "/volumes"));
  make_read_only(false);
  until("a record", [&] { return !fs::is_empty(root() + "/volumes"); });
  until("it to be over", [&] { return client_.told("ReadOnlyFileSystem").empty(); });
  const std::string unused = root() + "/toolchains/go1.20.1.linux-amd64/h1-unused";
  testing::write_file(unused + "/goroot/bin/go", "go");
  disk_->fill(1 << 20U);
  until("what is not in use to go", [&] { return !fs::exists(unused); });
  EXPECT_TRUE(fs::exists(root() + "/" + kUnit + "/goroot/bin/go")) << "it is in use";
}

}  // namespace
}  // namespace gobuildenv::agent
