#include "agent/toolchains/proxies.hpp"

namespace gobuildenv::agent {

std::optional<Failure> try_proxies(const std::vector<goenv::Proxy>& proxies,
                                   const std::function<ProxyOutcome(const std::string& url)>& ask) {
  std::optional<Failure> failed;
  std::optional<Failure> absent;
  for (const goenv::Proxy& proxy : proxies) {
    if (proxy.url == "off") break;
    if (proxy.url == "direct") continue;
    ProxyOutcome outcome = ask(proxy.url);
    if (outcome.kind == ProxyOutcome::Kind::Done) return std::nullopt;
    if (outcome.kind == ProxyOutcome::Kind::Stop) return std::move(outcome.failure);
    const bool not_here = outcome.kind == ProxyOutcome::Kind::NotHere;
    auto& kept = not_here ? absent : failed;
    if (!kept) kept = std::move(outcome.failure);
    if (!not_here && proxy.fallback != goenv::ProxyFallback::AnyError) break;
  }
  if (failed) return failed;
  if (absent) return absent;
  return Failure{"NoProxyConfigured",
                 "there is no module proxy to fetch toolchains from: name one in --proxies", false};
}

}  // namespace gobuildenv::agent
