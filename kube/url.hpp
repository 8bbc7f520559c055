#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace gobuildenv::kube {

/// The parts of an absolute http or https URL (RFC 3986) that a client connects by.
struct Url {
  bool tls = true;
  std::string host;  ///< lower case; an IPv6 address without its brackets
  std::uint16_t port = 443;
  std::string path;  ///< "" or "/…" without a trailing slash; query and fragment are refused
  /// "host:port", brackets around an IPv6 address: what the Host header and metrics say.
  [[nodiscard]] std::string authority() const;
};

/// Parses `text`; the error is a sentence without the URL (it may hold a password).
[[nodiscard]] tl::expected<Url, std::string> parse_url(std::string_view text);

/// Percent-encodes everything but RFC 3986's unreserved characters: for one path segment or one
/// query value.
[[nodiscard]] std::string percent_encode(std::string_view text);

}  // namespace gobuildenv::kube
