#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace gobuildenv::kube {

/// An HTTP proxy on the way to an endpoint.
struct Tunnel {
  std::string host;  ///< name or address, IPv6 without brackets
  std::uint16_t port = 0;
  std::string authorization;  ///< value of Proxy-Authorization; empty: none is sent
};

/// "Basic …" of RFC 7617.
[[nodiscard]] std::string basic_authorization(std::string_view login, std::string_view password);

/// Of "http://[user:password@]host[:port]"; user and password are percent-decoded. The error says
/// what is wrong and shows nothing of the URL, which may hold a password.
[[nodiscard]] tl::expected<Tunnel, std::string> parse_http_proxy(std::string_view url);

}  // namespace gobuildenv::kube
