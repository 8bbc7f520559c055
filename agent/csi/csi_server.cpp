#include "agent/csi/csi_server.hpp"

#include <csi.grpc.pb.h>
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <pluginregistration.grpc.pb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

namespace gobuildenv::agent {
namespace {

using grpc::ServerContext;
using grpc::Status;
using grpc::StatusCode;

/// One waiting volume holds one thread; a node has at most a few hundred pods.
constexpr int kMaxThreads = 300;
constexpr std::size_t kMaxSocketPath = 107;

StatusCode grpc_code(CallError::Code code) {
  switch (code) {
    case CallError::Code::InvalidArgument:
      return StatusCode::INVALID_ARGUMENT;
    case CallError::Code::AlreadyExists:
      return StatusCode::ALREADY_EXISTS;
    case CallError::Code::Aborted:
      return StatusCode::ABORTED;
    case CallError::Code::Cancelled:
      return StatusCode::CANCELLED;
    case CallError::Code::Unavailable:
      return StatusCode::UNAVAILABLE;
    case CallError::Code::Internal:
      return StatusCode::INTERNAL;
  }
  return StatusCode::INTERNAL;
}

const char* code_name(const Status& status) {
  switch (status.error_code()) {
    case StatusCode::OK:
      return "OK";
    case StatusCode::INVALID_ARGUMENT:
      return "InvalidArgument";
    case StatusCode::ALREADY_EXISTS:
      return "AlreadyExists";
    case StatusCode::ABORTED:
      return "Aborted";
    case StatusCode::CANCELLED:
      return "Cancelled";
    case StatusCode::UNAVAILABLE:
      return "Unavailable";
    default:
      return "Internal";
  }
}

Status to_status(const tl::expected<void, CallError>& result) {
  if (result) return Status::OK;
  return {grpc_code(result.error().code), result.error().message};
}

/// The caller's deadline in our clock: gRPC says it in wall time.
kube::Clock::TimePoint deadline_of(const ServerContext& context, const kube::Clock& clock) {
  const auto wall = context.deadline();
  if (wall == std::chrono::system_clock::time_point::max()) return kube::Clock::TimePoint::max();
  return clock.now() +
         std::chrono::duration_cast<kube::Clock::Duration>(wall - std::chrono::system_clock::now());
}

PublishCall to_call(const csi::v1::NodePublishVolumeRequest& request) {
  PublishCall call;
  call.volume_id = request.volume_id();
  call.target_path = request.target_path();
  call.attributes = {request.volume_context().begin(), request.volume_context().end()};
  const auto& capability = request.volume_capability();
  call.mount_capability = !capability.has_block();
  call.fs_type = capability.mount().fs_type();
  call.mount_flags = {capability.mount().mount_flags().begin(),
                      capability.mount().mount_flags().end()};
  call.mount_group = capability.mount().volume_mount_group();
  return call;
}

class IdentityService final : public csi::v1::Identity::Service {
 public:
  explicit IdentityService(const CsiServerOptions& options) : options_(options) {}

  Status GetPluginInfo(ServerContext*, const csi::v1::GetPluginInfoRequest*,
                       csi::v1::GetPluginInfoResponse* answer) override {
    answer->set_name(options_.driver_name);
    answer->set_vendor_version(options_.driver_version);
    return Status::OK;
  }
  /// None: there is no controller service, and volumes are where their pod is.
  Status GetPluginCapabilities(ServerContext*, const csi::v1::GetPluginCapabilitiesRequest*,
                               csi::v1::GetPluginCapabilitiesResponse*) override {
    return Status::OK;
  }
  Status Probe(ServerContext*, const csi::v1::ProbeRequest*,
               csi::v1::ProbeResponse* answer) override {
    answer->mutable_ready()->set_value(true);
    return Status::OK;
  }

 private:
  const CsiServerOptions& options_;
};

class NodeService final : public csi::v1::Node::Service {
 public:
  NodeService(const CsiServerOptions& options, VolumeService& service, kube::Clock& clock)
      : options_(options), service_(service), clock_(clock) {}

  Status NodePublishVolume(ServerContext* context, const csi::v1::NodePublishVolumeRequest* request,
                           csi::v1::NodePublishVolumeResponse*) override {
    return timed("NodePublishVolume", [&] {
      const CallContext call{deadline_of(*context, clock_),
                             [context] { return context->IsCancelled(); }};
      return to_status(service_.publish(to_call(*request), call));
    });
  }

  Status NodeUnpublishVolume(ServerContext*, const csi::v1::NodeUnpublishVolumeRequest* request,
                             csi::v1::NodeUnpublishVolumeResponse*) override {
    return timed("NodeUnpublishVolume", [&] {
      return to_status(service_.unpublish(request->volume_id(), request->target_path()));
    });
  }

  Status NodeGetCapabilities(ServerContext*, const csi::v1::NodeGetCapabilitiesRequest*,
                             csi::v1::NodeGetCapabilitiesResponse* answer) override {
    // With it the kubelet leaves ownership alone and tells us the pod's fsGroup.
    answer->add_capabilities()->mutable_rpc()->set_type(
        csi::v1::NodeServiceCapability_RPC_Type_VOLUME_MOUNT_GROUP);
    return Status::OK;
  }

  Status NodeGetInfo(ServerContext*, const csi::v1::NodeGetInfoRequest*,
                     csi::v1::NodeGetInfoResponse* answer) override {
    answer->set_node_id(options_.node_name);
    return Status::OK;
  }

 private:
  template <class Call>
  Status timed(const char* method, Call call) {
    const auto began = clock_.now();
    Status status;
    try {
      status = call();
    } catch (const std::exception& error) {
      // A full disk while text is put together, say. The kubelet tries again.
      status = {StatusCode::INTERNAL, error.what()};
    }
    if (options_.observed) {
      options_.observed(method, code_name(status),
                        std::chrono::duration<double>(clock_.now() - began).count());
    }
    return status;
  }

  const CsiServerOptions& options_;
  VolumeService& service_;
  kube::Clock& clock_;
};

class RegistrationService final : public pluginregistration::Registration::Service {
 public:
  explicit RegistrationService(const CsiServerOptions& options) : options_(options) {}

  Status GetInfo(ServerContext*, const pluginregistration::InfoRequest*,
                 pluginregistration::PluginInfo* answer) override {
    answer->set_type("CSIPlugin");
    answer->set_name(options_.driver_name);
    answer->set_endpoint(options_.socket);
    answer->add_supported_versions("1.0.0");
    const std::lock_guard lock(mutex_);
    seen_.asked = true;
    return Status::OK;
  }

  Status NotifyRegistrationStatus(ServerContext*,
                                  const pluginregistration::RegistrationStatus* status,
                                  pluginregistration::RegistrationStatusResponse*) override {
    const std::lock_guard lock(mutex_);
    seen_.registered = status->plugin_registered();
    seen_.error = status->error();
    return Status::OK;
  }

  [[nodiscard]] Registration seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  const CsiServerOptions& options_;
  mutable std::mutex mutex_;
  Registration seen_;
};

/// A socket that a killed agent left would make the new one's bind fail.
tl::expected<void, std::string> clear_socket(const std::string& path) {
  if (path.size() > kMaxSocketPath) {
    return tl::unexpected(
        fmt::format("socket {}: the path has {} bytes, Linux allows {}: choose a shorter folder",
                    path, path.size(), kMaxSocketPath));
  }
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return {};
    return tl::unexpected(fmt::format("socket {}: {}", path, ::strerror(errno)));
  }
  if (!S_ISSOCK(found.st_mode)) {
    return tl::unexpected(fmt::format("socket {}: something else is there; remove it", path));
  }
  ::unlink(path.c_str());
  return {};
}

}  // namespace

struct CsiServer::Impl {
  Impl(CsiServerOptions given, VolumeService& service, kube::Clock& clock)
      : options(std::move(given)),
        registration_socket(options.registry_dir + "/" + options.driver_name + "-reg.sock"),
        identity(options),
        node(options, service, clock),
        registration(options),
        volumes(service) {}

  tl::expected<void, std::string> serve() {
    for (const std::string& path : {registration_socket, options.socket}) {
      if (auto clear = clear_socket(path); !clear) return clear;
    }
    grpc::ServerBuilder builder;
    grpc::ResourceQuota quota("csi");
    quota.SetMaxThreads(kMaxThreads);
    builder.SetResourceQuota(quota);
    builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 2);
    // How often an idle poller wakes up to see whether there are too many of them.
    builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::CQ_TIMEOUT_MSEC, 60'000);
    builder.AddChannelArgument(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, 1 << 20);
    std::array<int, 2> bound{};
    builder.AddListeningPort("unix:" + options.socket, grpc::InsecureServerCredentials(),
                             &bound[0]);
    builder.AddListeningPort("unix:" + registration_socket, grpc::InsecureServerCredentials(),
                             &bound[1]);
    builder.RegisterService(&identity);
    builder.RegisterService(&node);
    builder.RegisterService(&registration);
    // Between bind and chmod nobody else may connect either.
    const mode_t before = ::umask(0177);
    server = builder.BuildAndStart();
    ::umask(before);
    if (!server || bound[0] == 0 || bound[1] == 0) {
      return tl::unexpected(
          fmt::format("cannot serve on {} and {}: does the folder exist, and is "
                      "it writable?",
                      options.socket, registration_socket));
    }
    return {};
  }

  void stop(std::chrono::milliseconds grace) {
    if (!server) return;
    ::unlink(registration_socket.c_str());
    volumes.begin_shutdown();
    server->Shutdown(std::chrono::system_clock::now() + grace);
    server->Wait();
    server.reset();
    ::unlink(options.socket.c_str());
  }

  const CsiServerOptions options;
  const std::string registration_socket;
  IdentityService identity;
  NodeService node;
  RegistrationService registration;
  VolumeService& volumes;
  std::unique_ptr<grpc::Server> server;
};

CsiServer::CsiServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CsiServer::~CsiServer() { stop(std::chrono::milliseconds(0)); }

tl::expected<std::unique_ptr<CsiServer>, std::string> CsiServer::start(CsiServerOptions options,
                                                                       VolumeService& service,
                                                                       kube::Clock& clock) {
  auto impl = std::make_unique<Impl>(std::move(options), service, clock);
  if (auto served = impl->serve(); !served) return tl::unexpected(std::move(served.error()));
  return std::unique_ptr<CsiServer>(new CsiServer(std::move(impl)));
}

void CsiServer::stop(std::chrono::milliseconds grace) { impl_->stop(grace); }

Registration CsiServer::registration() const { return impl_->registration.seen(); }

}  // namespace gobuildenv::agent
