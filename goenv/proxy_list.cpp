#include "goenv/proxy_list.hpp"

#include <fmt/format.h>

namespace gobuildenv::goenv {

namespace {

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool has_scheme(std::string_view url) {
  for (const std::string_view scheme : {"https://", "http://", "file://"}) {
    if (url.starts_with(scheme) && url.size() > scheme.size()) return true;
  }
  return false;
}

}  // namespace

tl::expected<std::vector<Proxy>, std::string> parse_proxy_list(std::string_view text) {
  std::vector<Proxy> out;
  if (trim(text).empty()) return out;
  while (true) {
    const auto end = text.find_first_of(",|");
    const std::string_view entry = trim(text.substr(0, end));
    if (entry.find('@') != std::string_view::npos) {
      return tl::unexpected(fmt::format(
          "entry {}: a URL with credentials; leave them out and use a netrc file", out.size() + 1));
    }
    if (entry != "direct" && entry != "off" && !has_scheme(entry)) {
      return tl::unexpected(fmt::format(
          "entry {} (\"{}\"): write https://HOST, http://HOST, file:///PATH, direct or off",
          out.size() + 1, entry));
    }
    const bool any_error = end != std::string_view::npos && text[end] == '|';
    out.push_back(
        {std::string(entry), any_error ? ProxyFallback::AnyError : ProxyFallback::NotFound});
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

}  // namespace gobuildenv::goenv
