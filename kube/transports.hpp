#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "kube/connection.hpp"
#include "kube/http.hpp"
#include "kube/tls_context.hpp"

/// The two ways to the API server, over kube/connection.hpp with Beast's HTTP parser. Why not
/// cpprestsdk: docs/decisions/0001-http-clients.md.
namespace gobuildenv::kube {

/// Gives the TLS context to connect with now; asked before each exchange, so that rotated
/// certificates are used from then on.
using TlsSource = std::function<tl::expected<TlsContext, TransportError>()>;

struct TransportOptions {
  Endpoint endpoint;
  std::string authority;                               ///< Host header
  TlsSource tls;                                       ///< not asked when endpoint.tls is false
  std::size_t max_response = std::size_t{256} << 20U;  ///< bytes of body; more is Kind::TooLarge
  std::size_t max_idle = 8;                            ///< connections kept open between requests
  std::chrono::seconds max_idle_age{90};  ///< below the 240 s at which balancers drop silently
};

/// Keep-alive connections shared by all threads; each request uses one alone. A GET whose reused
/// connection turns out to be closed is sent once more on a new one; a write never is.
[[nodiscard]] std::unique_ptr<Transport> make_pooled_transport(TransportOptions options);

/// One connection per stream. The HttpRequest's deadline and `cancel` bound connecting and the
/// answer's head.
[[nodiscard]] std::unique_ptr<StreamTransport> make_stream_transport(TransportOptions options);

}  // namespace gobuildenv::kube
