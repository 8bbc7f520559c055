#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

/// The seam between the client runtime and the network. Everything above it is tested with a
/// scripted server behind this interface or on a loopback socket. Who implements it:
/// docs/decisions/0001-http-clients.md.
namespace gobuildenv::kube {

class CancelSignal;

using Deadline = std::chrono::steady_clock::time_point;
using Headers = std::vector<std::pair<std::string, std::string>>;

enum class Method { Get, Post, Put, Patch, Delete };

/// "GET", "POST", …
[[nodiscard]] std::string_view method_name(Method method);

/// First header of that name, compared without case; empty when absent.
[[nodiscard]] std::string_view header_value(const Headers& headers, std::string_view name);

/// One request to the API server (or the module proxy). `target` is path and query, encoded.
struct HttpRequest {
  Method method = Method::Get;
  std::string target;
  Headers headers;
  std::string body;
  Deadline deadline{};  ///< the whole exchange ends by then, whatever the peer does
  /// Bytes that the answer will have by all likelihood: room for them is made once, instead of
  /// again and again as it grows. 0: unknown.
  std::size_t expected_body = 0;
  /// Asked when a connection is ready, right before the first byte goes out; false ends the
  /// exchange with Kind::Cancelled and nothing is sent. Empty: always.
  std::function<bool()> may_send;
  /// Once raised the exchange ends with Kind::Cancelled, at whatever point it is: the peer may have
  /// got the request. Outlives the exchange; null: never.
  const CancelSignal* cancel = nullptr;
};

struct HttpResponse {
  int status = 0;
  Headers headers;
  std::string body;
  /// First header of that name, compared without case; empty when absent.
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

/// Why an exchange has no HTTP answer.
struct TransportError {
  enum class Kind { Connect, Tls, Timeout, Closed, TooLarge, Cancelled, Protocol };
  Kind kind = Kind::Connect;
  std::string message;  ///< no credentials, no bodies
};

/// A response body that arrives over time. One reader; cancel() may come from any thread.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  ByteStream() = default;
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;
  /// Waits until `idle` for bytes. Gives the number read, 0 at a clean end of the body.
  virtual tl::expected<std::size_t, TransportError> read(char* buffer, std::size_t size,
                                                         Deadline idle) = 0;
  /// Makes a read in progress, and every later one, end with Kind::Cancelled.
  virtual void cancel() noexcept = 0;
};

/// Status and headers have arrived; for a status other than 200 the stream is the error's body.
struct StreamResponse {
  int status = 0;
  Headers headers;
  std::unique_ptr<ByteStream> body;
};

/// Sends whole requests. Thread-safe.
class Transport {
 public:
  virtual ~Transport() = default;
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual tl::expected<HttpResponse, TransportError> send(const HttpRequest& request) = 0;
};

/// Opens streamed responses (watches). Thread-safe; `deadline` and `cancel` of the request are
/// for the opening only.
class StreamTransport {
 public:
  virtual ~StreamTransport() = default;
  StreamTransport() = default;
  StreamTransport(const StreamTransport&) = delete;
  StreamTransport& operator=(const StreamTransport&) = delete;
  virtual tl::expected<StreamResponse, TransportError> open(const HttpRequest& request) = 0;
};

}  // namespace gobuildenv::kube
