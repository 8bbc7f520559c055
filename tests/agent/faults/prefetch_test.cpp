// What environments name is fetched ahead while the disk has room; what a pod asks for, always.
#include <csi.grpc.pb.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "agent/node/prefetch_plan.hpp"
#include "tests/agent/csi/calls.hpp"
#include "tests/agent/faults/running_agent.hpp"

namespace gobuildenv::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::json;

/// Has what it is asked for at once, and remembers who asked.
class InstantProvider final : public ToolchainProvider {
 public:
  std::string goroot;  ///< of everything

  ToolchainState state(const ToolchainWant& want) override {
    const std::lock_guard lock(mutex_);
    ToolchainState out;
    if (!there_.contains(want)) return out;
    out.kind = ToolchainState::Kind::Ready;
    out.goroot = goroot;
    return out;
  }
  ToolchainState ensure(const ToolchainWant& want) override { return get(want, ahead_); }
  ToolchainState wait(const ToolchainWant& want, kube::Clock::TimePoint) override {
    return get(want, for_pods_);
  }
  std::vector<Entry> entries() override { return {}; }

  std::vector<std::string> ahead() { return copy(ahead_); }
  std::vector<std::string> for_pods() { return copy(for_pods_); }

 private:
  ToolchainState get(const ToolchainWant& want, std::vector<std::string>& by) {
    {
      const std::lock_guard lock(mutex_);
      if (there_.insert(want).second) by.push_back(goenv::to_string(want.id.version));
    }
    return state(want);
  }
  std::vector<std::string> copy(const std::vector<std::string>& from) {
    const std::lock_guard lock(mutex_);
    return from;
  }

  std::mutex mutex_;
  std::set<ToolchainWant> there_;
  std::vector<std::string> ahead_;
  std::vector<std::string> for_pods_;
};

class PrefetchOnDisk : public testing::RunningAgent {
 protected:
  void declare(const std::string& name, const std::string& version) {
    client_.put("gobuildenvs", {{"apiVersion", "gobuildenv.dev/v1alpha1"},
                                {"kind", "GoBuildEnv"},
                                {"metadata", {{"name", name}, {"namespace", "team-a"}}},
                                {"spec", {{"toolchain", {{"version", version}}}}}});
  }
  /// "1.22.3 Reason", of those that are not ready, in order.
  std::vector<std::string> missing() {
    std::vector<std::string> out;
    const Json now = client_.status();
    for (const Json& one : now.value("toolchains", Json::array())) {
      if (one["state"] == "Ready") continue;
      out.push_back(one["version"].get<std::string>() + " " + one.value("reason", ""));
    }
    return out;
  }
  Json condition(const std::string& type) {
    const Json now = client_.status();
    for (const Json& one : now.value("conditions", Json::array())) {
      if (one["type"] == type) return one;
    }
    return Json::object();
  }
  /// As the kubelet, for a pod of environment "ci".
  grpc::Status publish() {
    const auto call = testing::toolchain_call(kubelet_.path("pods"));
    std::filesystem::create_directories(std::filesystem::path(call.target_path).parent_path());
    csi::v1::NodePublishVolumeRequest request;
    request.set_volume_id(call.volume_id);
    request.set_target_path(call.target_path);
    request.set_readonly(true);
    request.mutable_volume_capability()->mutable_mount();
    for (const auto& [key, value] : call.attributes) {
      (*request.mutable_volume_context())[key] = value;
    }
    grpc::ClientContext context;
    csi::v1::NodePublishVolumeResponse response;
    return node()->NodePublishVolume(&context, request, &response);
  }
  grpc::Status unpublish() {
    const auto call = testing::toolchain_call(kubelet_.path("pods"));
    csi::v1::NodeUnpublishVolumeRequest request;
    request.set_volume_id(call.volume_id);
    request.set_target_path(call.target_path);
    grpc::ClientContext context;
    csi::v1::NodeUnpublishVolumeResponse response;
    return node()->NodeUnpublishVolume(&context, request, &response);
  }
  std::unique_ptr<csi::v1::Node::Stub> node() {
    return csi::v1::Node::NewStub(
        grpc::CreateChannel("unix:" + kubelet_.path("plugins/gobuildenv.dev/csi.sock"),
                            grpc::InsecureChannelCredentials()));
  }
  ToolchainProvider& provider() override { return instant_; }

  InstantProvider instant_;
};

TEST_F(PrefetchOnDisk, WaitsForRoomUnlessAPodAsks) {
  agent_.reset();
  std::filesystem::remove_all(root() + "/toolchains");
  // Declared, so the collector finds nothing that would make room.
  instant_.goroot = root() + "/toolchains/go1.22.3.linux-amd64/h1-new/goroot";
  testing::write_file(instant_.goroot + "/bin/go", "go");
  declare("ci", "1.22.3");
  declare("other", "1.23.1");
  disk_->fill(3U << 20U);
  start();
  if (HasFatalFailure()) return;

  const std::string reason(kAboveHighWatermark);
  until("it to be told", [&] { return missing().size() == 2; });
  EXPECT_THAT(missing(), ElementsAre("1.22.3 " + reason, "1.23.1 " + reason));
  const Json told = condition("ToolchainsReady");
  EXPECT_EQ(told["status"], "False");
  EXPECT_THAT(told["message"].get<std::string>(), HasSubstr("75 %"));
  EXPECT_EQ(condition("DiskFull"), Json::object()) << "it is not";

  const auto published = publish();
  EXPECT_TRUE(published.ok()) << published.error_message();
  EXPECT_THAT(instant_.for_pods(), ElementsAre("1.22.3"));
  std::string boot = testing::read_file("/proc/sys/kernel/random/boot_id");
  boot.pop_back();
  EXPECT_THAT(testing::read_file(root() + "/volumes/csi-1.json"), HasSubstr(boot))
      << "what its pod wrote before a reboot is not taken over";
  until("the pod's not to be missed", [&] { return missing().size() == 1; });
  EXPECT_THAT(missing(), ElementsAre("1.23.1 " + reason));
  EXPECT_THAT(instant_.ahead(), IsEmpty());
  EXPECT_TRUE(unpublish().ok());

  disk_->make_room();
  until("the other one", [&] { return !instant_.ahead().empty(); });
  EXPECT_THAT(instant_.ahead(), ElementsAre("1.23.1"));
  until("it to be over", [&] { return condition("ToolchainsReady")["status"] == "True"; });
  EXPECT_THAT(missing(), IsEmpty());
}

TEST_F(PrefetchOnDisk, InodesCountToo) {
  agent_.reset();
  declare("ci", "1.22.3");
  disk_->fill_inodes(100);
  start();
  if (HasFatalFailure()) return;
  until("it to be told", [&] { return missing().size() == 1; });
  EXPECT_THAT(instant_.ahead(), IsEmpty());
  disk_->make_room();
  until("it to be fetched", [&] { return !instant_.ahead().empty(); });
}

}  // namespace
}  // namespace gobuildenv::agent
