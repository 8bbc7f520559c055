#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/toolchains/failure.hpp"
#include "goenv/spec.hpp"

namespace gobuildenv::agent {

/// How one proxy answered.
struct ProxyOutcome {
  enum class Kind {
    Done,
    NotHere,  ///< 404 or 410: it has no such thing
    Failed,   ///< any other answer, or none
    Stop,     ///< what went wrong would go wrong with every proxy
  };
  Kind kind = Kind::Done;
  Failure failure;  ///< unless Done
};

/// Asks `ask` of the proxies in order by GOPROXY's rules (cmd/go modfetch/proxy.go, TryProxies):
/// behind a "," the next one is asked only when this one said NotHere, behind a "|" after any
/// failure. "off" ends the list; "direct" is passed over, since a toolchain has no repository of
/// its own. Gives nothing when one was Done; else the failure that says most: the first Failed one
/// before a NotHere, since a proxy that could not be asked may have it.
[[nodiscard]] std::optional<Failure> try_proxies(
    const std::vector<goenv::Proxy>& proxies,
    const std::function<ProxyOutcome(const std::string& url)>& ask);

}  // namespace gobuildenv::agent
