#pragma once

#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "kube/http.hpp"

struct addrinfo;

namespace gobuildenv::kube {

struct AddressesFree {
  void operator()(addrinfo* list) const;
};
using Addresses = std::unique_ptr<addrinfo, AddressesFree>;

/// Stream addresses of `host`, which may be an address already (then no resolver is asked). Ends by
/// `deadline`, or when `cancel` (may be null) is raised, although getaddrinfo() can do neither.
[[nodiscard]] tl::expected<Addresses, TransportError> resolve(const std::string& host,
                                                              std::uint16_t port, Deadline deadline,
                                                              const CancelSignal* cancel);

}  // namespace gobuildenv::kube
