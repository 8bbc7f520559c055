#include "agent/csi/csi_server.hpp"

#include <csi.grpc.pb.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <pluginregistration.grpc.pb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/agent/csi/calls.hpp"
#include "tests/agent/csi/fakes.hpp"
#include "tests/agent/temp_folder.hpp"

namespace gobuildenv::agent {
namespace {

using ::testing::HasSubstr;
using namespace gobuildenv::agent::testing;  // NOLINT(google-build-using-namespace)

class CsiServerTest : public ::testing::Test {
 protected:
  CsiServerTest() {
    std::vector<std::string> unreadable;
    registry_ = VolumeRegistry::open(top_.path(), unreadable).value();
    VolumeServiceOptions options;
    options.root = top_.path();
    options.pods_dir = kPods;
    service_.emplace(options, VolumeService::Parts{*registry_, files_, mounter_, provider_, want_of,
                                                   clock_, observer_});
  }

  CsiServerOptions options() {
    CsiServerOptions out;
    out.driver_name = "gobuildenv.dev";
    out.driver_version = "0.1.0";
    out.node_name = "node-1";
    out.socket = top_.path("csi.sock");
    out.registry_dir = top_.path();
    out.observed = [this](const char* method, const char* code, double seconds) {
      EXPECT_GE(seconds, 0);
      const std::lock_guard lock(mutex_);
      ++observed_[std::string(method) + " " + code];
    };
    return out;
  }
  std::unique_ptr<CsiServer> start() {
    auto server = CsiServer::start(options(), *service_, clock_);
    EXPECT_TRUE(server) << server.error();
    return std::move(*server);
  }
  static std::shared_ptr<grpc::Channel> connect(const std::string& socket) {
    return grpc::CreateChannel("unix:" + socket, grpc::InsecureChannelCredentials());
  }
  static csi::v1::NodePublishVolumeRequest request(const PublishCall& call) {
    csi::v1::NodePublishVolumeRequest out;
    out.set_volume_id(call.volume_id);
    out.set_target_path(call.target_path);
    out.set_readonly(true);
    out.mutable_volume_capability()->mutable_mount()->set_volume_mount_group(call.mount_group);
    for (const auto& [key, value] : call.attributes) (*out.mutable_volume_context())[key] = value;
    return out;
  }

  TempFolder top_;
  kube::FakeClock clock_;
  MemoryMounter mounter_;
  ScriptedProvider provider_{clock_};
  RecordingObserver observer_;
  PrivateParts files_ = PrivateParts::open(top_.path()).value();
  std::unique_ptr<VolumeRegistry> registry_;
  std::optional<VolumeService> service_;
  std::mutex mutex_;
  std::map<std::string, int> observed_;
};

TEST_F(CsiServerTest, RegistersAsTheKubeletExpects) {
  const auto server = start();
  EXPECT_FALSE(server->registration().asked);
  const auto stub =
      pluginregistration::Registration::NewStub(connect(top_.path("gobuildenv.dev-reg.sock")));
  pluginregistration::PluginInfo info;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(stub->GetInfo(&context, {}, &info).ok());
  }
  EXPECT_EQ(info.type(), "CSIPlugin");
  EXPECT_EQ(info.name(), "gobuildenv.dev");
  EXPECT_EQ(info.endpoint(), top_.path("csi.sock"));
  ASSERT_EQ(info.supported_versions_size(), 1);
  EXPECT_EQ(info.supported_versions(0), "1.0.0");
  EXPECT_TRUE(server->registration().asked);

  pluginregistration::RegistrationStatus status;
  pluginregistration::RegistrationStatusResponse answer;
  status.set_error("node is not there");
  {
    grpc::ClientContext context;
    ASSERT_TRUE(stub->NotifyRegistrationStatus(&context, status, &answer).ok());
  }
  EXPECT_FALSE(server->registration().registered);
  EXPECT_EQ(server->registration().error, "node is not there");
  status.set_plugin_registered(true);
  status.clear_error();
  {
    grpc::ClientContext context;
    ASSERT_TRUE(stub->NotifyRegistrationStatus(&context, status, &answer).ok());
  }
  EXPECT_TRUE(server->registration().registered);
}

TEST_F(CsiServerTest, SaysWhoAndWhatItIs) {
  const auto server = start();
  const auto channel = connect(top_.path("csi.sock"));
  const auto identity = csi::v1::Identity::NewStub(channel);
  const auto node = csi::v1::Node::NewStub(channel);
  csi::v1::GetPluginInfoResponse info;
  csi::v1::ProbeResponse probe;
  csi::v1::GetPluginCapabilitiesResponse plugin;
  csi::v1::NodeGetInfoResponse where;
  csi::v1::NodeGetCapabilitiesResponse capabilities;
  const auto ok = [](auto call) {
    grpc::ClientContext context;
    return call(&context).ok();
  };
  ASSERT_TRUE(ok([&](auto* c) { return identity->GetPluginInfo(c, {}, &info); }));
  ASSERT_TRUE(ok([&](auto* c) { return identity->Probe(c, {}, &probe); }));
  ASSERT_TRUE(ok([&](auto* c) { return identity->GetPluginCapabilities(c, {}, &plugin); }));
  ASSERT_TRUE(ok([&](auto* c) { return node->NodeGetInfo(c, {}, &where); }));
  ASSERT_TRUE(ok([&](auto* c) { return node->NodeGetCapabilities(c, {}, &capabilities); }));
  EXPECT_EQ(info.name(), "gobuildenv.dev");
  EXPECT_EQ(info.vendor_version(), "0.1.0");
  EXPECT_TRUE(probe.ready().value());
  EXPECT_EQ(plugin.capabilities_size(), 0);
  EXPECT_EQ(where.node_id(), "node-1");
  ASSERT_EQ(capabilities.capabilities_size(), 1);
  EXPECT_EQ(capabilities.capabilities(0).rpc().type(),
            csi::v1::NodeServiceCapability_RPC_Type_VOLUME_MOUNT_GROUP);
}

TEST_F(CsiServerTest, PublishesAndUnpublishes) {
  provider_.on_state = [&](const auto&) { return ready(top_.path("toolchains/a/b/goroot")); };
  const auto server = start();
  const auto node = csi::v1::Node::NewStub(connect(top_.path("csi.sock")));
  const PublishCall call = toolchain_call();
  csi::v1::NodePublishVolumeResponse published;
  {
    grpc::ClientContext context;
    const auto status = node->NodePublishVolume(&context, request(call), &published);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  EXPECT_EQ(registry_->uses("toolchains/a/b"), 1U);
  csi::v1::NodeUnpublishVolumeRequest gone;
  gone.set_volume_id(call.volume_id);
  gone.set_target_path(call.target_path);
  csi::v1::NodeUnpublishVolumeResponse answer;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(node->NodeUnpublishVolume(&context, gone, &answer).ok());
  }
  EXPECT_TRUE(registry_->records().empty());
  const std::lock_guard lock(mutex_);
  EXPECT_EQ(observed_["NodePublishVolume OK"], 1);
  EXPECT_EQ(observed_["NodeUnpublishVolume OK"], 1);
}

TEST_F(CsiServerTest, RefusesWithFieldAndFix) {
  const auto server = start();
  const auto node = csi::v1::Node::NewStub(connect(top_.path("csi.sock")));
  csi::v1::NodePublishVolumeResponse published;
  PublishCall call = toolchain_call();
  call.attributes["kind"] = "disk";
  {
    grpc::ClientContext context;
    const auto status = node->NodePublishVolume(&context, request(call), &published);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr("volumeAttributes.kind: \"disk\""));
  }
  csi::v1::NodePublishVolumeRequest block = request(toolchain_call());
  block.mutable_volume_capability()->mutable_block();
  grpc::ClientContext context;
  EXPECT_EQ(node->NodePublishVolume(&context, block, &published).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(CsiServerTest, TakesThePlaceOfAKilledAgentsSockets) {
  const auto leave_socket = [&](const std::string& path) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address),  // NOLINT
                     sizeof(address)),
              0);
    ::close(fd);
  };
  leave_socket(top_.path("csi.sock"));
  leave_socket(top_.path("gobuildenv.dev-reg.sock"));
  auto server = start();
  ASSERT_TRUE(server);
  struct stat found {};
  ASSERT_EQ(::stat(top_.path("csi.sock").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0600U);
  server->stop(std::chrono::milliseconds(100));
  EXPECT_FALSE(std::filesystem::exists(top_.path("csi.sock")));
  EXPECT_FALSE(std::filesystem::exists(top_.path("gobuildenv.dev-reg.sock")));
}

TEST_F(CsiServerTest, SaysWhyItCannotServe) {
  CsiServerOptions long_path = options();
  long_path.socket = top_.path(std::string(120, 'x'));
  auto server = CsiServer::start(long_path, *service_, clock_);
  ASSERT_FALSE(server);
  EXPECT_THAT(server.error(), HasSubstr("shorter folder"));
  write_file(top_.path("file.sock"), "precious");
  CsiServerOptions taken = options();
  taken.socket = top_.path("file.sock");
  server = CsiServer::start(taken, *service_, clock_);
  ASSERT_FALSE(server);
  EXPECT_EQ(read_file(top_.path("file.sock")), "precious");
  CsiServerOptions nowhere = options();
  nowhere.socket = top_.path("none/csi.sock");
  server = CsiServer::start(nowhere, *service_, clock_);
  ASSERT_FALSE(server);
  EXPECT_THAT(server.error(), HasSubstr("none/csi.sock"));
}

TEST_F(CsiServerTest, StoppingEndsWaitingCalls) {
  // Never there, and the fake clock stands still between waits: only the stop ends it.
  provider_.on_state = [](const auto&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return ToolchainState{};
  };
  VolumeServiceOptions patient;
  patient.root = top_.path();
  patient.pods_dir = kPods;
  patient.wait = std::chrono::hours(10'000);
  service_.emplace(patient, VolumeService::Parts{*registry_, files_, mounter_, provider_, want_of,
                                                 clock_, observer_});
  auto server = start();
  const auto node = csi::v1::Node::NewStub(connect(top_.path("csi.sock")));
  grpc::Status status;
  std::thread waiting([&] {
    grpc::ClientContext context;
    csi::v1::NodePublishVolumeResponse published;
    status = node->NodePublishVolume(&context, request(toolchain_call()), &published);
  });
  while (provider_.waits == 0) std::this_thread::yield();
  server->stop(std::chrono::seconds(20));
  waiting.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
  EXPECT_TRUE(registry_->records().empty());
}

}  // namespace
}  // namespace gobuildenv::agent
