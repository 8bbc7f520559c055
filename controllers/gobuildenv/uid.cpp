#include "controllers/gobuildenv/uid.hpp"

#include <string>

#include "crds/digest.hpp"

namespace gobuildenv::controllers {
namespace {

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

/// Two digits a byte; false where something is none, and after fewer or more than 16 bytes.
bool parse(std::string_view text, bool dashes, Uid& out) {
  std::size_t byte = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (dashes && (at == 8 || at == 13 || at == 18 || at == 23)) {
      if (text[at++] != '-') return false;
      continue;
    }
    if (byte == out.bytes.size() || at + 1 >= text.size()) return false;
    const int high = nibble(text[at]);
    const int low = nibble(text[at + 1]);
    if (high < 0 || low < 0) return false;
    out.bytes[byte++] = static_cast<std::uint8_t>(high * 16 + low);
    at += 2;
  }
  return byte == out.bytes.size();
}

}  // namespace

Uid Uid::of(std::string_view text) {
  Uid out;
  if (text.empty() || (text.size() == 36 && parse(text, true, out))) return out;
  out = Uid{};
  const std::string digest = crds::sha256_hex(text);
  parse(std::string_view(digest).substr(0, 32), false, out);
  return out;
}

}  // namespace gobuildenv::controllers
