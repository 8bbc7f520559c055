#pragma once

#include <optional>
#include <string_view>

#include "kube/error.hpp"
#include "kube/http.hpp"

/// The one place where failures are classified.
namespace gobuildenv::kube {

/// From an answer that is not 2xx. Its body is a Status of the API server, or anything a proxy on
/// the way may say. Error::reason is Status.reason, or "NamespaceTerminating" or
/// "ResourceVersionTooLarge" where Status.details.causes says so.
[[nodiscard]] Error error_from_response(const HttpResponse& response);

/// From a Status object, e.g. that of an ERROR event inside a watch stream (its code is in it).
[[nodiscard]] Error error_from_status(std::string_view status_json);

/// From an exchange without an answer: Retry, or ShuttingDown when it was cancelled.
[[nodiscard]] Error error_from_transport(const TransportError& error);

/// Value of a Retry-After header in seconds; the date form and nonsense give nothing.
[[nodiscard]] std::optional<std::chrono::seconds> parse_retry_after(std::string_view value);

}  // namespace gobuildenv::kube
