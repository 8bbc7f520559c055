// A whole agent on a disk that fills up and becomes read-only: what its GoNodeCache says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "tests/agent/faults/agent_disk.hpp"
#include "tests/controllers/memory_client.hpp"

namespace gobuildenv::agent {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr const char* kUnit = "toolchains/go1.21.6.linux-amd64/h1-old";

/// The agent asks on several threads.
class SharedClient final : public controllers::testing::MemoryClient {
 public:
  Result get(const kube::ResourceType& type, const kube::ObjectKey& key,
             kube::Deadline deadline) override {
    const std::lock_guard lock(mutex_);
    return MemoryClient::get(type, key, deadline);
  }
  Result create(const kube::ResourceType& type, const std::string& ns, std::string_view json,
                kube::Deadline deadline) override {
    const std::lock_guard lock(mutex_);
    return MemoryClient::create(type, ns, json, deadline);
  }
  /// As of a single manager: what was applied before and is not any more goes.
  Result apply(const kube::ResourceType& type, const kube::ObjectKey& key, std::string_view body,
               const kube::ApplyOptions& options, kube::Deadline deadline) override {
    const std::lock_guard lock(mutex_);
    if (has(type.plural, key.name) && !options.subresource.empty()) {
      at(type.plural, key.name).erase("status");
    }
    return MemoryClient::apply(type, key, body, options, deadline);
  }
  Json status() {
    const std::lock_guard lock(mutex_);
    if (!has("gonodecaches", "node-1")) return Json::object();
    return at("gonodecaches", "node-1").value("status", Json::object());
  }
  /// The message of a condition that is True; empty when there is none.
  std::string told(const std::string& type) {
    const Json now = status();
    for (const Json& condition : now.value("conditions", Json::array())) {
      if (condition["type"] == type && condition["status"] == "True") return condition["message"];
    }
    return {};
  }
  void forget() {
    const std::lock_guard lock(mutex_);
    all("gonodecaches").clear();
  }

 private:
  std::mutex mutex_;
};

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

class RunningAgent : public testing::AgentDisk {
 protected:
  void SetUp() override {
    AgentDisk::SetUp();
    if (IsSkipped()) return;
    testing::write_file(root() + "/" + kUnit + "/goroot/bin/go", std::string(6 << 20U, 'g'));
    client_.put("nodes", {{"metadata", {{"name", "node-1"}}}});
    start();
  }
  void TearDown() override { agent_.reset(); }

  void start() {
    agent_.reset();
    NodeAgentOptions eager = options();
    eager.collect.interval = eager.collect.disk_check = eager.collect.measure_after =
        eager.collect.settle = eager.collect.quiet = seconds(1);
    eager.limits.min_idle = seconds(0);
    auto agent = NodeAgent::open(std::move(eager), {provider_, test_clock_, metrics_,
                                                    [] { return 0.5; }, &client_, nullptr});
    ASSERT_TRUE(agent.has_value()) << agent.error();
    agent_ = std::move(*agent);
    const auto started = agent_->start();
    ASSERT_TRUE(started.has_value()) << started.error();
  }
  /// Lets time pass for the agent, until then.
  void until(const char* what, const std::function<bool()>& then) {
    const auto end = std::chrono::steady_clock::now() + seconds(60);
    while (!then()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << what << ": " << client_.status().dump(1);
      test_clock_.advance(milliseconds(500));
      std::this_thread::sleep_for(milliseconds(5));
    }
  }
  void make_read_only(bool read_only) {
    until("the disk to be remounted", [&] { return disk_->set_read_only(read_only); });
  }

  kube::Metrics metrics_;
  SharedClient client_;
  std::unique_ptr<NodeAgent> agent_;
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
