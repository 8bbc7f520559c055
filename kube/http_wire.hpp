#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "kube/http.hpp"

namespace gobuildenv::kube {

/// The bytes of an HTTP/1.1 request (RFC 9112) with Host and Content-Length. A target or a header
/// with characters that would end its line is refused: it came from outside. A target is a path, or
/// an http:// URL when the request goes to an HTTP proxy.
[[nodiscard]] tl::expected<std::string, TransportError> request_bytes(const HttpRequest& request,
                                                                      std::string_view authority);

}  // namespace gobuildenv::kube
