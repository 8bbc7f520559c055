#include "agent/toolchains/web_session.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <map>
#include <system_error>
#include <utility>
#include <vector>

#include "agent/toolchains/netrc.hpp"
#include "agent/unique_fd.hpp"
#include "kube/http_proxy.hpp"
#include "kube/proxy_environment.hpp"
#include "kube/tls_context.hpp"
#include "kube/transports.hpp"

namespace gobuildenv::agent {
namespace {

constexpr std::string_view kFile = "file://";

tl::unexpected<WebError> fail(std::string message) {
  return tl::unexpected(WebError{false, std::move(message)});
}

tl::unexpected<WebError> fail(const kube::TransportError& error) {
  return tl::unexpected(
      WebError{error.kind == kube::TransportError::Kind::Cancelled, error.message});
}

bool redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// "https://host:port" and the rest, without a fragment.
std::pair<std::string, std::string> split_url(std::string_view url) {
  url = url.substr(0, url.find('#'));
  const std::size_t scheme = url.find("://");
  const std::size_t end =
      scheme == std::string_view::npos ? scheme : url.find_first_of("/?", scheme + 3);
  std::string target(end == std::string_view::npos ? "/" : url.substr(end));
  if (target.starts_with('?')) target.insert(0, "/");
  return {std::string(url.substr(0, end)), std::move(target)};
}

/// Where a Location header leads from `url`; only what servers send: a whole URL or a path.
std::optional<std::string> redirect_target(const std::string& url, std::string_view location) {
  if (location.starts_with("https://") || location.starts_with("http://")) {
    return std::string(location);
  }
  if (!location.starts_with('/') || location.starts_with("//")) return std::nullopt;
  return split_url(url).first + std::string(location);
}

class FileStream final : public kube::ByteStream {
 public:
  explicit FileStream(UniqueFd file) : file_(std::move(file)) {}

  tl::expected<std::size_t, kube::TransportError> read(char* buffer, std::size_t size,
                                                       kube::Deadline) override {
    using Kind = kube::TransportError::Kind;
    if (cancelled_.load()) return tl::unexpected(kube::TransportError{Kind::Cancelled, "stopped"});
    for (;;) {
      const ssize_t got = ::read(file_.get(), buffer, size);
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno == EINTR) continue;
      return tl::unexpected(
          kube::TransportError{Kind::Closed, std::generic_category().message(errno)});
    }
  }
  void cancel() noexcept override { cancelled_.store(true); }

 private:
  UniqueFd file_;
  std::atomic<bool> cancelled_{false};
};

tl::expected<WebAnswer, WebError> open_file(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat found {};
  if (!file) {
    if (errno != ENOENT && errno != ENOTDIR) return fail(std::generic_category().message(errno));
    return WebAnswer{404, 0, nullptr};
  }
  if (::fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode)) return fail("it is not a file");
  return WebAnswer{200, static_cast<std::uint64_t>(found.st_size),
                   std::make_unique<FileStream>(std::move(file))};
}

}  // namespace

struct WebSession::Parts {
  std::vector<NetrcLogin> logins;
  std::shared_ptr<ssl_ctx_st> tls;
  std::map<std::string, std::unique_ptr<kube::Transport>> transports;  ///< by origin
};

/// How a URL is reached.
struct WebSession::Route {
  std::string origin;  ///< "https://host:port"
  kube::Endpoint endpoint;
  std::string authority;
  kube::HttpRequest request;
};

std::string shown_url(std::string_view url) {
  const std::size_t scheme = url.find("://");
  url = url.substr(0, url.find_first_of("?#"));
  if (scheme == std::string_view::npos) return std::string(url);
  const std::size_t path = std::min(url.find('/', scheme + 3), url.size());
  const std::size_t at = url.substr(0, path).rfind('@');
  if (at == std::string_view::npos) return std::string(url);
  return std::string(url.substr(0, scheme + 3)) + std::string(url.substr(at + 1));
}

WebSession::WebSession(const WebOptions& options)
    : options_(options), parts_(std::make_unique<Parts>()) {
  parts_->logins = parse_netrc(options.netrc);
}

WebSession::~WebSession() = default;

kube::Deadline WebSession::read_deadline() const {
  return std::chrono::steady_clock::now() + options_.idle;
}

tl::expected<WebSession::Route, WebError> WebSession::route(const std::string& url) {
  auto [origin, target] = split_url(url);
  const auto parsed = kube::parse_url(origin);
  if (!parsed) return fail("the URL is wrong: " + parsed.error());
  Route route;
  route.endpoint.host = parsed->host;
  route.endpoint.port = parsed->port;
  route.endpoint.tls = parsed->tls;
  // Host names the port only where it is not the scheme's own, as every client does.
  const bool usual = parsed->port == (parsed->tls ? 443 : 80);
  route.authority = parsed->authority();
  if (usual) route.authority.resize(route.authority.rfind(':'));
  route.request.deadline = std::chrono::steady_clock::now() + options_.answer;
  route.request.headers = {{"User-Agent", options_.user_agent}, {"Accept", "*/*"}};
  if (const auto login = authorization_for(parts_->logins, parsed->host); !login.empty()) {
    route.request.headers.emplace_back("Authorization", login);
  }
  const std::string proxy =
      options_.environment ? kube::proxy_from_environment(*parsed, options_.environment) : "";
  if (!proxy.empty()) {
    const auto tunnel = kube::parse_http_proxy(proxy);
    if (!tunnel) return fail(tunnel.error());
    if (parsed->tls) {
      route.endpoint.tunnel = *tunnel;
    } else {
      // Plain http is asked of the proxy itself, by the whole URL (RFC 9112, 3.2.2).
      route.endpoint.host = tunnel->host;
      route.endpoint.port = tunnel->port;
      target = "http://" + route.authority + target;
      if (!tunnel->authorization.empty()) {
        route.request.headers.emplace_back("Proxy-Authorization", tunnel->authorization);
      }
    }
  }
  route.origin = std::move(origin);
  route.request.target = std::move(target);
  if (parsed->tls && !parts_->tls) {
    kube::TlsMaterial material;
    material.ca = options_.ca;
    material.system_trust = options_.system_trust;
    auto made = kube::make_tls_context(material);
    if (!made) return fail(made.error());
    parts_->tls = *std::move(made);
  }
  return route;
}

kube::TransportOptions WebSession::transport_options(const Route& route) {
  kube::TransportOptions options;
  options.endpoint = route.endpoint;
  options.authority = route.authority;
  options.tls = [tls = parts_->tls]() -> tl::expected<kube::TlsContext, kube::TransportError> {
    return kube::TlsContext{tls, 1};
  };
  options.max_idle = 1;
  return options;
}

tl::expected<WebAnswer, WebError> WebSession::open(const std::string& url) {
  std::string at = url;
  for (int hops = 0; hops <= options_.max_redirects; ++hops) {
    if (cancelled_) return tl::unexpected(WebError{true, "stopped"});
    if (hops == 0 && at.starts_with(kFile)) return open_file(at.substr(kFile.size()));
    const auto route = this->route(at);
    if (!route) return tl::unexpected(route.error());
    auto answer = kube::make_stream_transport(transport_options(*route))->open(route->request);
    if (!answer) return fail(answer.error());
    if (!redirect(answer->status)) {
      WebAnswer out{answer->status, std::nullopt, std::move(answer->body)};
      const std::string_view length = kube::header_value(answer->headers, "Content-Length");
      std::uint64_t value = 0;
      const auto parsed = std::from_chars(length.data(), length.data() + length.size(), value);
      if (!length.empty() && parsed.ptr == length.data() + length.size()) out.length = value;
      return out;
    }
    const auto next = redirect_target(at, kube::header_value(answer->headers, "Location"));
    if (!next) return fail(fmt::format("HTTP {} leads nowhere", answer->status));
    if (at.starts_with("https://") && !next->starts_with("https://")) {
      return fail("a redirect leads from https to http");
    }
    at = *next;
  }
  return fail(fmt::format("more than {} redirects", options_.max_redirects));
}

tl::expected<WebPage, WebError> WebSession::read(const std::string& url, std::size_t limit) {
  if (cancelled_) return tl::unexpected(WebError{true, "stopped"});
  if (!url.starts_with(kFile)) {
    // A kept connection: proofs take several small requests.
    const auto route = this->route(url);
    if (!route) return tl::unexpected(route.error());
    auto& transport = parts_->transports[route->origin];
    if (!transport) {
      auto options = transport_options(*route);
      options.max_response = limit;
      transport = kube::make_pooled_transport(std::move(options));
    }
    auto answer = transport->send(route->request);
    if (!answer) return fail(answer.error());
    if (!redirect(answer->status)) return WebPage{answer->status, std::move(answer->body)};
  }
  auto answer = open(url);
  if (!answer) return tl::unexpected(answer.error());
  WebPage page{answer->status, {}};
  std::string part(16384, '\0');
  while (answer->body) {
    const auto got = answer->body->read(part.data(), part.size(), read_deadline());
    if (!got) return fail(got.error());
    if (*got == 0) break;
    if (page.body.size() + *got > limit) {
      return fail(fmt::format("the answer is larger than {} bytes", limit));
    }
    page.body.append(part, 0, *got);
  }
  return page;
}

}  // namespace gobuildenv::agent
