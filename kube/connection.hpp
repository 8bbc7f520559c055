#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "kube/cancel_signal.hpp"
#include "kube/http.hpp"
#include "kube/http_proxy.hpp"
#include "kube/tls_context.hpp"

struct ssl_st;

/// One TCP or TLS connection whose every operation ends by a deadline or by a signal from another
/// thread. Blocking calls on a non-blocking socket: no event loop, no thread, no timer of its own.
namespace gobuildenv::kube {

/// Where to connect.
struct Endpoint {
  std::string host;  ///< name or address, IPv6 without brackets
  std::uint16_t port = 443;
  bool tls = true;
  std::string server_name;  ///< verified instead of `host` when not empty, and sent as SNI
  /// Connect to this proxy, which then connects to the endpoint (CONNECT, RFC 9110 9.3.6).
  std::optional<Tunnel> tunnel{};
};

class Connection {
 public:
  /// Resolves, connects and shakes hands by `deadline`. `tls` is used when endpoint.tls; for
  /// `cancel` see set_cancel().
  static tl::expected<std::unique_ptr<Connection>, TransportError> open(const Endpoint& endpoint,
                                                                        const TlsContext& tls,
                                                                        Deadline deadline,
                                                                        const CancelSignal* cancel);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Its operations end with Kind::Cancelled once `cancel` is raised, which lives until another one
  /// takes its place or the connection is gone. Null: only deadlines end them.
  void set_cancel(const CancelSignal* cancel) noexcept { cancel_ = cancel; }
  /// At least one byte, or 0 at an orderly end.
  tl::expected<std::size_t, TransportError> read_some(char* buffer, std::size_t size,
                                                      Deadline deadline);
  tl::expected<void, TransportError> write_all(std::string_view data, Deadline deadline);
  /// False when the peer has closed, or has sent what nobody asked for. Does not wait.
  [[nodiscard]] bool usable();
  /// Generation of the TLS context it was opened with.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }

 private:
  Connection(int fd, const CancelSignal* cancel) : fd_(fd), cancel_(cancel) {}
  [[nodiscard]] bool cancelled() const noexcept { return cancel_ != nullptr && cancel_->raised(); }
  tl::expected<void, TransportError> open_tunnel(const Endpoint& endpoint, Deadline deadline);
  tl::expected<void, TransportError> handshake(const Endpoint& endpoint, const TlsContext& tls,
                                               Deadline deadline);
  tl::expected<void, TransportError> wait(short events, Deadline deadline) const;
  /// What a failed OpenSSL call means; gives nothing when it should be tried again.
  tl::expected<void, TransportError> after_tls(int result, Deadline deadline, const char* doing);

  int fd_;
  const CancelSignal* cancel_;
  std::shared_ptr<ssl_ctx_st> ctx_;
  ssl_st* ssl_ = nullptr;
  std::uint64_t generation_ = 0;
};

}  // namespace gobuildenv::kube
