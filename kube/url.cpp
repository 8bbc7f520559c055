#include "kube/url.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>

namespace gobuildenv::kube {
namespace {

bool alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool valid_host(std::string_view host, bool bracketed) {
  return !host.empty() && std::all_of(host.begin(), host.end(), [&](char c) {
    return alphanumeric(c) || c == '.' || c == '-' || c == '_' ||
           (bracketed && (c == ':' || c == '%'));
  });
}

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

std::string Url::authority() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

tl::expected<Url, std::string> parse_url(std::string_view text) {
  using Bad = tl::unexpected<std::string>;
  Url url;
  constexpr std::string_view kHttps = "https://";
  constexpr std::string_view kHttp = "http://";
  if (text.starts_with(kHttps)) {
    text.remove_prefix(kHttps.size());
  } else if (text.starts_with(kHttp)) {
    url.tls = false;
    url.port = 80;
    text.remove_prefix(kHttp.size());
  } else {
    return Bad("it does not start with https:// or http://");
  }
  if (text.find_first_of("?#") != std::string_view::npos) {
    return Bad("it has a query or a fragment");
  }
  const std::size_t slash = text.find('/');
  std::string_view authority = text.substr(0, slash);
  if (authority.find('@') != std::string_view::npos) {
    return Bad("it holds a user name; credentials belong into their own fields");
  }
  if (slash != std::string_view::npos) {
    url.path = text.substr(slash);
    url.path.erase(url.path.find_last_not_of('/') + 1);
  }
  if (!printable(url.path)) {
    return Bad("its path holds blanks or control characters");
  }
  std::string_view port;
  bool has_port = false;
  const bool bracketed = authority.starts_with('[');
  if (bracketed) {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) {
      return Bad("its IPv6 address has no closing bracket");
    }
    url.host = authority.substr(1, end - 1);
    std::string_view rest = authority.substr(end + 1);
    if (!rest.empty()) {
      if (!rest.starts_with(':')) {
        return Bad("something other than a port follows its IPv6 address");
      }
      has_port = true;
      port = rest.substr(1);
    }
  } else if (const std::size_t colon = authority.find(':'); colon != std::string_view::npos) {
    url.host = authority.substr(0, colon);
    has_port = true;
    port = authority.substr(colon + 1);
  } else {
    url.host = authority;
  }
  if (!valid_host(url.host, bracketed)) {
    return Bad("its host is empty or has characters no host name may have");
  }
  std::transform(url.host.begin(), url.host.end(), url.host.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (has_port) {
    const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), url.port);
    if (ec != std::errc{} || end != port.data() + port.size() || url.port == 0) {
      return Bad("its port is not a number from 1 to 65535");
    }
  }
  return url;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~') {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[byte >> 4U];
      out += kHex[byte & 0xfU];
    }
  }
  return out;
}

}  // namespace gobuildenv::kube
