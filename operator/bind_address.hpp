#pragma once

#include <cstdint>
#include <string>
#include <tl/expected.hpp>

namespace gobuildenv::cli {

/// "HOST:PORT", "[v6]:PORT" or ":PORT" (all addresses); "off" gives enabled = false.
struct BindAddress {
  bool enabled = true;
  std::string host;
  std::uint16_t port = 0;
};
tl::expected<BindAddress, std::string> parse_bind(const std::string& text);

/// What is wrong with it, or "": for a flag's check.
std::string bind_error(const std::string& text);

}  // namespace gobuildenv::cli
