// An agent that starts on a disk that has become read-only: it serves what it has, and says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "agent/caches/node_caches.hpp"
#include "agent/node/root_lock.hpp"
#include "agent/toolchains/store.hpp"
#include "tests/agent/faults/agent_disk.hpp"

namespace gobuildenv::agent {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::write_file;

class StartFaults : public testing::AgentDisk {
 protected:
  tl::expected<std::unique_ptr<NodeCaches>, std::string> open_caches() {
    NodeCachesOptions options;
    options.root = root();
    return NodeCaches::open(std::move(options), {}, clock_, {});
  }

  /// All that a start of the agent's process does on its disk; empty, or what it died of.
  std::string start() {
    const auto lock = RootLock::take(root(), std::chrono::seconds(0), clock_);
    if (!lock) return "lock: " + lock.error();
    if (auto store = ToolchainStore::open(root()); !store) return "store: " + store.error().message;
    kube::Metrics metrics;
    auto agent =
        NodeAgent::open(options(), {provider_, clock_, metrics, kube::make_random(), nullptr, {}});
    if (!agent) return "agent: " + agent.error();
    if (auto caches = open_caches(); !caches) return "caches: " + caches.error();
    if (auto started = (*agent)->start(); !started) return "start: " + started.error();
    EXPECT_TRUE(fs::is_socket(kubelet_.path("plugins/gobuildenv.dev/csi.sock")));
    (*agent)->stop(std::chrono::seconds(1));
    return {};
  }

  kube::RealClock clock_;
};

TEST_F(StartFaults, AReadOnlyDiskIsNoReasonNotToStart) {
  ASSERT_EQ(start(), "");
  // The last agent was killed in the middle of a fetch, of a promotion and of a volume's record.
  write_file(root() + "/incoming/abc123/archive.zip", "half");
  write_file(root() + "/promotions/csi-1/record.json", "{}");
  write_file(root() + "/promotions/csi-1/layer/half", "x");
  write_file(root() + "/volumes/csi-2.json.new", "{");
  ASSERT_TRUE(disk_->set_read_only(true));
  EXPECT_EQ(start(), "");
  EXPECT_TRUE(fs::exists(root() + "/incoming/abc123/archive.zip"));
  ASSERT_TRUE(disk_->set_read_only(false));
  EXPECT_EQ(start(), "");
  EXPECT_TRUE(fs::is_empty(root() + "/incoming")) << "the first that can tidies up";
  EXPECT_FALSE(fs::exists(root() + "/promotions/csi-1/layer"));
}

TEST_F(StartFaults, OnAReadOnlyDiskThereIsOneAgentToo) {
  ASSERT_EQ(start(), "");
  ASSERT_TRUE(disk_->set_read_only(true));
  const auto first = RootLock::take(root(), std::chrono::seconds(0), clock_);
  ASSERT_TRUE(first.has_value()) << first.error();
  EXPECT_THAT(start(), HasSubstr("another agent uses"));
}

TEST_F(StartFaults, WhereNoAgentHasEverBeenItSaysWhatItCannotMake) {
  ASSERT_TRUE(disk_->set_read_only(true));
  EXPECT_THAT(start(), HasSubstr("agent.lock: Read-only file system"));
}

}  // namespace
}  // namespace gobuildenv::agent
