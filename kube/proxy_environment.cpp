#include "kube/proxy_environment.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

namespace gobuildenv::kube {
namespace {

/// 4 or 16 bytes.
struct Address {
  std::array<unsigned char, 16> bytes{};
  std::size_t size = 0;
};

std::optional<Address> parse_address(std::string_view text) {
  const std::string copy(text);
  Address out;
  if (inet_pton(AF_INET, copy.c_str(), out.bytes.data()) == 1) {
    out.size = 4;
    return out;
  }
  if (inet_pton(AF_INET6, copy.c_str(), out.bytes.data()) == 1) {
    out.size = 16;
    return out;
  }
  return std::nullopt;
}

bool same_bits(const Address& a, const Address& b, std::size_t bits) {
  if (a.size != b.size || bits > a.size * 8) {
    return false;
  }
  for (std::size_t i = 0; i < bits; ++i) {
    const auto mask = static_cast<unsigned char>(0x80U >> (i % 8));
    if (((a.bytes[i / 8] ^ b.bytes[i / 8]) & mask) != 0) {
      return false;
    }
  }
  return true;
}

bool is_loopback(const std::string& host, const std::optional<Address>& address) {
  if (host == "localhost") {
    return true;
  }
  if (!address) {
    return false;
  }
  const bool v6 = std::all_of(address->bytes.begin(), address->bytes.begin() + 15,
                              [](unsigned char byte) { return byte == 0; }) &&
                  address->bytes[15] == 1;
  return address->size == 4 ? address->bytes[0] == 127 : v6;
}

/// Takes ":port" off an entry's end; an IPv6 address is in brackets then.
std::string_view without_port(std::string_view entry, std::string_view& port) {
  if (entry.starts_with('[')) {
    const std::size_t end = entry.find(']');
    if (end != std::string_view::npos) {
      if (entry.substr(end + 1).starts_with(':')) {
        port = entry.substr(end + 2);
      }
      return entry.substr(1, end - 1);
    }
  }
  const std::size_t colon = entry.find(':');
  if (colon == std::string_view::npos || entry.find(':', colon + 1) != std::string_view::npos) {
    return entry;
  }
  port = entry.substr(colon + 1);
  return entry.substr(0, colon);
}

bool matches(std::string_view entry, const Url& target, const std::optional<Address>& address) {
  if (entry == "*") {
    return true;
  }
  if (const std::size_t slash = entry.find('/'); slash != std::string_view::npos) {
    const auto network = parse_address(entry.substr(0, slash));
    std::size_t bits = 0;
    const auto digits = entry.substr(slash + 1);
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    return network && address && ec == std::errc{} && end == digits.data() + digits.size() &&
           same_bits(*network, *address, bits);
  }
  std::string_view port;
  std::string_view name = without_port(entry, port);
  if (!port.empty() && port != std::to_string(target.port)) {
    return false;
  }
  if (const auto wanted = parse_address(name)) {
    return address && same_bits(*wanted, *address, wanted->size * 8);
  }
  if (name.starts_with("*.")) {
    name.remove_prefix(1);
  }
  if (name.empty() || address) {
    return false;
  }
  const bool subdomains_only = name.starts_with('.');
  if (!subdomains_only && target.host == name) {
    return true;
  }
  const std::string suffix = subdomains_only ? std::string(name) : "." + std::string(name);
  return target.host.ends_with(suffix);
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

}  // namespace

std::string proxy_from_environment(const Url& target,
                                   const std::function<std::string(const char* name)>& env) {
  const auto either = [&env](const char* capitals, const char* small) {
    std::string value = env(capitals);
    return value.empty() ? env(small) : value;
  };
  std::string proxy =
      target.tls ? either("HTTPS_PROXY", "https_proxy") : either("HTTP_PROXY", "http_proxy");
  const auto address = parse_address(target.host);
  if (proxy.empty() || is_loopback(target.host, address)) {
    return "";
  }
  const std::string list = lower(either("NO_PROXY", "no_proxy"));
  std::size_t at = 0;
  while (at < list.size()) {
    const std::size_t end = std::min(list.find_first_of(", ", at), list.size());
    if (end > at && matches(std::string_view(list).substr(at, end - at), target, address)) {
      return "";
    }
    at = end + 1;
  }
  return proxy.find("://") == std::string::npos ? "http://" + proxy : proxy;
}

}  // namespace gobuildenv::kube
