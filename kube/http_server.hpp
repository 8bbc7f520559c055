#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace gobuildenv::kube {

/// Answer of a handler of the probe server.
struct HttpAnswer {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

struct HttpServerOptions {
  std::string address = "0.0.0.0";  ///< numeric address to bind
  std::uint16_t port = 0;           ///< 0: any free one
  int max_connections = 64;         ///< more are closed at once
};

/// Plain HTTP/1.1 for /metrics, /healthz and /readyz: GET and HEAD only, one thread, headers up to
/// 8 KiB, no bodies, 10 s for a request. Not for admission.
class HttpServer {
 public:
  /// Gets the target (path and query) of a GET; runs on the server's thread.
  using Handler = std::function<HttpAnswer(std::string_view target)>;

  /// Binds and starts serving. The error names address, port and reason.
  static tl::expected<std::unique_ptr<HttpServer>, std::string> start(
      const HttpServerOptions& options, Handler handler);
  /// Stops and joins.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] std::uint16_t port() const;

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gobuildenv::kube
