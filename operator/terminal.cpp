#include "operator/terminal.hpp"

#include <fmt/format.h>

#include "goenv/text.hpp"

namespace gobuildenv::cli {

std::string terminal_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
    if (static_cast<unsigned char>(c) == 0xC2 && next >= 0x80 && next < 0xA0) {
      // U+0080 to U+009F: control characters of two bytes.
      out += fmt::format("\\xc2\\x{:02x}", next);
      ++i;
    } else if (goenv::is_control(c) && c != '\n' && c != '\t') {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace gobuildenv::cli
