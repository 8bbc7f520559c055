#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "kube/http.hpp"
#include "kube/url.hpp"

namespace gobuildenv::kube {
struct TransportOptions;
}

/// GET requests to module proxies: https, http and file URLs, redirects, netrc, a private CA, HTTP
/// proxies. Bodies are streamed in the caller's buffer, so a download needs no memory of its size.
namespace gobuildenv::agent {

struct WebOptions {
  std::string ca;            ///< PEM, trusted beside the system's store
  bool system_trust = true;  ///< false: only `ca`
  std::string netrc;         ///< content of a netrc file
  /// HTTP_PROXY, HTTPS_PROXY, NO_PROXY; gives "" for what is not set. Empty: none are set.
  std::function<std::string(const char* name)> environment;
  std::string user_agent = "gobuildenv-agent";
  std::chrono::seconds answer{30};  ///< until the head of an answer, each redirect anew
  std::chrono::seconds idle{30};    ///< between two parts of a body
  int max_redirects = 10;
};

/// Why there is no answer. No credentials in it.
struct WebError {
  bool cancelled = false;
  std::string message;  ///< without the URL
};

struct WebAnswer {
  int status = 0;                       ///< 404 also for a file that is not there
  std::optional<std::uint64_t> length;  ///< of the body, when the server says it
  std::unique_ptr<kube::ByteStream> body;
};

struct WebPage {
  int status = 0;
  std::string body;
};

/// The requests of one piece of work, by one thread: connections and the trust store (4 MiB, 40 ms)
/// are kept between them and gone with it.
class WebSession {
 public:
  explicit WebSession(const WebOptions& options);
  ~WebSession();
  WebSession(const WebSession&) = delete;
  WebSession& operator=(const WebSession&) = delete;

  /// Opens `url` and follows redirects; never from https to http. Each read of the body is to be
  /// given read_deadline().
  tl::expected<WebAnswer, WebError> open(const std::string& url);

  /// A whole small answer; more than `limit` bytes are an error.
  tl::expected<WebPage, WebError> read(const std::string& url,
                                       std::size_t limit = std::size_t{1} << 20U);

  [[nodiscard]] kube::Deadline read_deadline() const;

  /// Ends what is in progress and all that comes, from any thread; an attempt to connect ends by
  /// its deadline. `open` streams are the caller's to cancel.
  void cancel() noexcept { cancelled_.store(true); }

 private:
  struct Route;
  tl::expected<Route, WebError> route(const std::string& url);
  kube::TransportOptions transport_options(const Route& route);

  const WebOptions& options_;
  std::atomic<bool> cancelled_{false};
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// The URL without user, password and query: for messages.
[[nodiscard]] std::string shown_url(std::string_view url);

}  // namespace gobuildenv::agent
