#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace gobuildenv::kube::testing {

/// An HTTP proxy on loopback that understands CONNECT and takes every tunnel to one port of
/// loopback, whatever host is asked for.
class RelayProxy {
 public:
  explicit RelayProxy(std::uint16_t target, std::string answer = "HTTP/1.1 200 OK\r\n\r\n");
  ~RelayProxy();
  RelayProxy(const RelayProxy&) = delete;
  RelayProxy& operator=(const RelayProxy&) = delete;
  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// Heads of the requests that came, in order.
  [[nodiscard]] std::vector<std::string> heads() const;

 private:
  void accept_loop();
  void relay(int client);

  const std::uint16_t target_;
  const std::string answer_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::vector<std::string> heads_;
  std::vector<std::jthread> relays_;
  std::jthread acceptor_;
};

}  // namespace gobuildenv::kube::testing
