#include <fmt/format.h>

#include <string_view>

#include "controllers/toolchain/resolver.hpp"
#include "goenv/version.hpp"

namespace gobuildenv::controllers {
namespace {

using State = ToolchainAnswer::State;

// Releases are published for all platforms at once; this one stands for the release.
constexpr std::string_view kOs = "linux";
constexpr std::string_view kArch = "amd64";
constexpr std::string_view kModule = "/golang.org/toolchain/@v/";

/// 404 and 410 say "not here" in the proxy protocol; some proxies answer 403 for a version.
bool absent(int status) { return status == 404 || status == 410; }

/// The URL without user and password.
std::string shown(const std::string& url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string::npos) return url;
  const std::size_t path = url.find('/', scheme + 3);
  const std::size_t at = url.rfind('@', path);
  if (at == std::string::npos || at < scheme) return url;
  return url.substr(0, scheme + 3) + url.substr(at + 1);
}

std::vector<std::string_view> lines(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) out.push_back(line);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace

ToolchainAnswer ask_proxies(const std::string& range,
                            const std::vector<std::pair<goenv::Proxy, kube::Transport*>>& proxies,
                            const ResolverOptions& options, kube::Clock& clock,
                            const kube::CancelSignal* cancel) {
  const auto language = goenv::parse_version(range);
  if (!language) {
    return {State::Final, {}, "InvalidVersion", language.error(), 0};
  }
  const auto get = [&](kube::Transport& transport, std::string target) {
    kube::HttpRequest request;
    request.target = std::move(target);
    request.deadline = clock.now() + options.timeout;
    request.cancel = cancel;
    return transport.send(request);
  };

  bool asked = false;
  std::string unreachable;  // a later proxy's "not found" is no answer while this one may know
  for (const auto& [proxy, transport] : proxies) {
    if (proxy.url == "off") break;
    if (transport == nullptr) continue;
    asked = true;
    std::string failure;
    const auto listed = get(*transport, fmt::format("{}list", kModule));
    if (!listed) {
      failure = listed.error().message;
    } else if (absent(listed->status)) {
      continue;
    } else if (listed->status != 200) {
      failure = fmt::format("it answered HTTP {}", listed->status);
    } else {
      for (const goenv::GoVersion& candidate :
           goenv::patch_candidates(lines(listed->body), *language, kOs, kArch)) {
        const auto info =
            get(*transport, fmt::format("{}{}.info", kModule,
                                        goenv::toolchain_module_version(candidate, kOs, kArch)));
        if (!info) {
          failure = info.error().message;
          break;
        }
        if (info->status == 200) return {State::Resolved, goenv::to_string(candidate), {}, {}, 0};
        if (!absent(info->status) && info->status != 403) {
          failure = fmt::format("it answered HTTP {}", info->status);
          break;
        }
      }
    }
    if (failure.empty()) continue;
    unreachable = fmt::format("module proxy {} could not be asked: {}", shown(proxy.url), failure);
    // GOPROXY's rule: after "," only an absence goes on to the next proxy.
    if (proxy.fallback != goenv::ProxyFallback::AnyError) break;
  }
  if (!unreachable.empty()) {
    return {State::Failed,
            {},
            "ProxyUnreachable",
            fmt::format("{}: {}; it is asked again, or write an exact version such as {}.1 in "
                        "spec.toolchain.version",
                        range, unreachable, range),
            0};
  }
  if (!asked) {
    return {State::Final,
            {},
            "NoProxyConfigured",
            fmt::format("{} means its newest patch release, and the operator has no module proxy "
                        "to ask: start it with {}, or write an exact version such as {}.1 in "
                        "spec.toolchain.version",
                        range, options.flag, range),
            0};
  }
  return {State::Final,
          {},
          "VersionNotFound",
          fmt::format("no module proxy has a release of Go {}: write a version that exists in "
                      "spec.toolchain.version",
                      range),
          0};
}

}  // namespace gobuildenv::controllers
