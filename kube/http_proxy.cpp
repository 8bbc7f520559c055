#include "kube/http_proxy.hpp"

#include <charconv>

#include "kube/base64.hpp"
#include "kube/url.hpp"

namespace gobuildenv::kube {
namespace {

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(&text[i + 1], &text[i + 3], value, 16).ptr == &text[i + 3]) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::string basic_authorization(std::string_view login, std::string_view password) {
  return "Basic " + encode_base64(std::string(login) + ":" + std::string(password));
}

tl::expected<Tunnel, std::string> parse_http_proxy(std::string_view url) {
  constexpr std::string_view kHttp = "http://";
  if (!url.starts_with(kHttp)) {
    return tl::unexpected(std::string("the HTTP proxy's URL does not start with http://"));
  }
  Tunnel tunnel;
  std::string_view rest = url.substr(kHttp.size());
  if (const std::size_t at = rest.substr(0, rest.find('/')).rfind('@');
      at != std::string_view::npos) {
    const std::string_view user = rest.substr(0, at);
    const std::size_t colon = user.find(':');
    tunnel.authorization = basic_authorization(
        percent_decoded(user.substr(0, colon)),
        colon == std::string_view::npos ? "" : percent_decoded(user.substr(colon + 1)));
    rest.remove_prefix(at + 1);
  }
  const auto parsed = parse_url(std::string(kHttp) + std::string(rest));
  if (!parsed) return tl::unexpected("the HTTP proxy's URL is wrong: " + parsed.error());
  tunnel.host = parsed->host;
  tunnel.port = parsed->port;
  return tunnel;
}

}  // namespace gobuildenv::kube
