#include "operator/manager_options.hpp"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

namespace gobuildenv::cli {

namespace {

std::string_view host_of(std::string_view url) {
  if (const auto scheme = url.find("://"); scheme != std::string_view::npos) {
    url.remove_prefix(scheme + 3);
  }
  url = url.substr(0, url.find_first_of("/?#"));
  if (const auto at = url.rfind('@'); at != std::string_view::npos) url.remove_prefix(at + 1);
  if (url.starts_with('[')) return url.substr(1, url.find(']') - 1);
  return url.substr(0, url.find(':'));
}

bool excepted(std::string_view host, std::string_view no_proxy) {
  while (!no_proxy.empty()) {
    const auto end = no_proxy.find(',');
    std::string_view entry = no_proxy.substr(0, end);
    no_proxy.remove_prefix(end == std::string_view::npos ? no_proxy.size() : end + 1);
    while (entry.starts_with(' ')) entry.remove_prefix(1);
    while (entry.ends_with(' ')) entry.remove_suffix(1);
    if (entry == "*") return true;
    if (entry.starts_with("*.")) entry.remove_prefix(1);
    const std::string_view domain = entry.starts_with('.') ? entry.substr(1) : entry;
    if (domain.empty()) continue;
    if (host == domain && !entry.starts_with('.')) return true;
    if (host.size() > domain.size() && host.ends_with(domain) &&
        host[host.size() - domain.size() - 1] == '.') {
      return true;
    }
  }
  return false;
}

}  // namespace

tl::expected<BindAddress, std::string> parse_bind(const std::string& text) {
  BindAddress out;
  if (text == "off" || text == "0") {
    out.enabled = false;
    return out;
  }
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) {
    return tl::unexpected(fmt::format("\"{}\" is no address; write HOST:PORT, :PORT or off", text));
  }
  out.host = text.substr(0, colon);
  if (out.host.starts_with('[') && out.host.ends_with(']')) {
    out.host = out.host.substr(1, out.host.size() - 2);
  }
  const char* first = text.data() + colon + 1;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(first, last, out.port);
  if (error != std::errc{} || end != last || first == last) {
    return tl::unexpected(fmt::format("\"{}\": the port is a number from 0 to 65535", text));
  }
  return out;
}

std::string http_proxy_for(const std::string& url, std::string (*env)(const char* name)) {
  const auto either = [env](const char* upper, const char* lower) {
    std::string value = env(upper);
    return value.empty() ? env(lower) : value;
  };
  const std::string_view host = host_of(url);
  if (host == "localhost" || host.starts_with("127.") || host == "::1") return {};
  if (excepted(host, either("NO_PROXY", "no_proxy"))) return {};
  return url.starts_with("https://") ? either("HTTPS_PROXY", "https_proxy")
                                     : either("HTTP_PROXY", "http_proxy");
}

}  // namespace gobuildenv::cli
