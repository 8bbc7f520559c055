#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "kube/http.hpp"
#include "kube/tls_context.hpp"
#include "kube/transports.hpp"

/// What the exchanges of both transports have in common: how one begins, how its answer's head is
/// read, and what is said of an answer that is none.
namespace gobuildenv::kube {

/// What is decided before anything is connected to.
struct Opening {
  std::string bytes;  ///< the whole request
  TlsContext tls;     ///< empty where the endpoint has no TLS
};

/// Writes the request down and asks for the TLS context of this moment. Errors: a request that
/// cannot be written (Kind::Protocol), or the source's own.
[[nodiscard]] tl::expected<Opening, TransportError> begin_exchange(const TransportOptions& options,
                                                                   const HttpRequest& request);

/// Status and headers of a parsed Beast message, as a Response that has both.
template <class Response, class Message>
[[nodiscard]] Response head_of(const Message& message) {
  Response response;
  response.status = static_cast<int>(message.result_int());
  for (const auto& field : message) {
    response.headers.emplace_back(field.name_string(), field.value());
  }
  return response;
}

[[nodiscard]] TransportError closed_unanswered();
[[nodiscard]] TransportError closed_midway();
/// `why`: what the parser says.
[[nodiscard]] TransportError not_http(std::string_view why);

}  // namespace gobuildenv::kube
