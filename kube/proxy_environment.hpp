#pragma once

#include <functional>
#include <string>

#include "kube/url.hpp"

namespace gobuildenv::kube {

/// The proxy for requests to `target`, or "" for none: what WebOptions::proxy_url takes. Reads
/// HTTPS_PROXY or HTTP_PROXY by the target's scheme, and NO_PROXY, each in capitals or else in
/// small letters (`env` gives "" for what is not set), by the rules of Go's
/// golang.org/x/net/http/httpproxy: loopback never goes through a proxy; NO_PROXY is a list of
/// "*", names (with their subdomains), ".names" (subdomains only), addresses, networks
/// ("10.0.0.0/8"), each but a network with an optional ":port".
[[nodiscard]] std::string proxy_from_environment(
    const Url& target, const std::function<std::string(const char* name)>& env);

}  // namespace gobuildenv::kube
