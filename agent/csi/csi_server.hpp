#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "agent/csi/volume_service.hpp"

/// The agent's gRPC server: CSI's Identity and Node services (container-storage-interface, v1) for
/// the kubelet, and the registration by which the kubelet finds them
/// (k8s.io/kubelet/pkg/apis/pluginregistration/v1).
namespace gobuildenv::agent {

struct CsiServerOptions {
  std::string driver_name;     ///< "gobuildenv.dev"
  std::string driver_version;  ///< of this build
  std::string node_name;       ///< at most 256 bytes
  /// Unix socket of the services, as the kubelet sees it too. Paths of sockets have at most 107
  /// bytes.
  std::string socket;
  /// Where the kubelet looks for registrations; the socket <driver_name>-reg.sock is made in it.
  std::string registry_dir;
  /// Called after each call with its name ("NodePublishVolume"), gRPC code ("OK", "Internal", …)
  /// and duration; may be empty.
  std::function<void(const char* method, const char* code, double seconds)> observed;
};

/// What the kubelet has said about our registration.
struct Registration {
  bool asked = false;  ///< it has found the socket
  bool registered = false;
  std::string error;  ///< its reason when it refused
};

class CsiServer {
 public:
  /// Makes both sockets, mode 0600, in place of stale ones, and serves. `service` outlives it.
  /// Error: names the socket and why it cannot be served.
  static tl::expected<std::unique_ptr<CsiServer>, std::string> start(CsiServerOptions options,
                                                                     VolumeService& service,
                                                                     kube::Clock& clock);
  /// Takes the registration away, ends calls in progress within `grace`, and removes the sockets.
  void stop(std::chrono::milliseconds grace);
  ~CsiServer();
  CsiServer(const CsiServer&) = delete;
  CsiServer& operator=(const CsiServer&) = delete;

  [[nodiscard]] Registration registration() const;

 private:
  struct Impl;
  explicit CsiServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gobuildenv::agent
