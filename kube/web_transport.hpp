#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "kube/http.hpp"

/// Requests to servers out on the network (the module proxy), by cpprestsdk: system trust store,
/// redirects, HTTP proxies. Nothing is loaded or started before the first request.
namespace gobuildenv::kube {

struct WebOptions {
  std::string base_url;      ///< https://… or http://…; the request's target is appended
  std::string extra_ca;      ///< PEM, trusted beside the system's store
  bool system_trust = true;  ///< false: only extra_ca
  std::string proxy_url;     ///< http://[user:password@]host:port, or empty for none
  std::size_t max_response = std::size_t{16} << 20U;  ///< bytes of body; more is Kind::TooLarge
  std::string user_agent = "gobuildenv";
};

/// Thread-safe. Destroy it before main() returns: the library's threads end with it.
[[nodiscard]] std::unique_ptr<Transport> make_web_transport(WebOptions options);

}  // namespace gobuildenv::kube
