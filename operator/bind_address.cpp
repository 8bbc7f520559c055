#include "operator/bind_address.hpp"

#include <fmt/format.h>

#include <charconv>
#include <system_error>

namespace gobuildenv::cli {

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

std::string bind_error(const std::string& text) {
  const auto address = parse_bind(text);
  return address ? std::string() : address.error();
}

}  // namespace gobuildenv::cli
