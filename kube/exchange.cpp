#include "kube/exchange.hpp"

#include <fmt/format.h>

#include <utility>

#include "kube/http_wire.hpp"

namespace gobuildenv::kube {

using Kind = TransportError::Kind;

tl::expected<Opening, TransportError> begin_exchange(const TransportOptions& options,
                                                     const HttpRequest& request) {
  auto bytes = request_bytes(request, options.authority);
  if (!bytes) return tl::unexpected(std::move(bytes).error());
  Opening opening{*std::move(bytes), {}};
  if (options.endpoint.tls) {
    auto current = options.tls();
    if (!current) return tl::unexpected(std::move(current).error());
    opening.tls = *std::move(current);
  }
  return opening;
}

TransportError closed_unanswered() { return {Kind::Closed, "the peer closed without an answer"}; }

TransportError closed_midway() {
  return {Kind::Closed, "the peer closed in the middle of its answer"};
}

TransportError not_http(std::string_view why) {
  return {Kind::Protocol, fmt::format("the answer is not HTTP: {}", why)};
}

}  // namespace gobuildenv::kube
