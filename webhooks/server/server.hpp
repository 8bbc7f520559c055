#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "webhooks/certificates/key_pair.hpp"

/// The HTTPS server of the webhooks: HTTP/1.1 with keep-alive over TLS, a few threads, each with
/// its own connections. Threads and callbacks; Beast is seen in the .cpp files only.
namespace gobuildenv::webhooks::server {

struct Answer {
  int status = 200;
  std::string body;
  std::string_view content_type = "application/json";
};

/// Answers the body of a POST. Called from several threads at once; an exception becomes 500.
using Handler = std::function<Answer(std::string_view body)>;

/// By path, e.g. "/mutate-pods". Anything else is answered 404, another method 405.
using Routes = std::map<std::string, Handler, std::less<>>;

/// Upper bounds of latency histograms in seconds, from 50 µs.
inline constexpr std::array<double, 16> kLatencyBuckets{
    0.00005, 0.0001, 0.00015, 0.0002, 0.0003, 0.0005, 0.001, 0.002,
    0.005,   0.01,   0.025,   0.05,   0.1,    0.25,   0.5,   1.0};

/// What metrics want to know. Called on the server's threads; must not block or throw.
class Observer {
 public:
  Observer() = default;
  virtual ~Observer() = default;
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  /// A request for `path` (a route, or "other") has been read; one finished() follows.
  virtual void started(std::string_view /*path*/) noexcept {}
  /// `latency` runs from the request's last byte read to its answer ready to be sent.
  virtual void finished(std::string_view /*path*/, int /*status*/,
                        std::chrono::nanoseconds /*latency*/) noexcept {}
  /// A connection ended otherwise than by either side closing it between requests. `stage` is
  /// "accept", "handshake", "read", "write" or "timeout".
  virtual void failed(std::string_view /*stage*/, std::string_view /*error*/) noexcept {}
};

enum class TlsVersion { Tls12, Tls13 };

struct Options {
  /// "" listens on all addresses of both families. A literal address otherwise.
  std::string address;
  std::uint16_t port = 9443;  ///< 0: any free one, see port()
  unsigned threads = 2;
  TlsVersion min_tls = TlsVersion::Tls12;
  std::size_t max_body = std::size_t{7} << 20;  ///< longer is answered 413
  std::size_t max_header = std::size_t{16} << 10;
  std::size_t max_connections = 2048;  ///< more are closed at once
  std::chrono::milliseconds handshake_timeout{std::chrono::seconds{10}};
  std::chrono::milliseconds header_timeout{std::chrono::seconds{32}};  ///< from the first byte
  std::chrono::milliseconds body_timeout{std::chrono::seconds{32}};
  std::chrono::milliseconds write_timeout{std::chrono::seconds{32}};
  /// Longer than the 90 s after which Go's clients let go of an idle connection.
  std::chrono::milliseconds idle_timeout{std::chrono::seconds{120}};
};

class Server {
 public:
  /// `observer` may be null and must outlive the server.
  Server(Options options, Routes routes, Observer* observer);
  /// stop() with no time to drain.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Binds, listens and serves `certificate` from own threads. Error: a sentence with the address.
  tl::expected<void, std::string> start(const certificates::KeyPair& certificate);

  /// The port that start() bound.
  std::uint16_t port() const;

  /// Serves another certificate to connections made from now on; those that exist go on. Error: why
  /// it cannot be served; the old one stays. May be called from any thread.
  tl::expected<void, std::string> set_certificate(const certificates::KeyPair& certificate);

  /// From now on answers carry `Connection: close`; everything is still served. Call it when
  /// readiness has been withdrawn, and stop() 10 to 15 s later.
  void begin_drain();

  /// Accepts no more, lets requests under way finish for at most `grace`, then closes what is left
  /// and joins the threads. Idempotent.
  void stop(std::chrono::milliseconds grace);

  /// Connections open now.
  std::size_t connections() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gobuildenv::webhooks::server
