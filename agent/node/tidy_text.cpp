#include "agent/node/tidy_text.hpp"

namespace gobuildenv::agent {

std::string tidy(std::string_view text, std::size_t limit) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const std::size_t size = lead < 0x80                   ? 1
                             : lead >= 0xC2 && lead < 0xE0 ? 2
                             : (lead & 0xF0U) == 0xE0      ? 3
                             : lead >= 0xF0 && lead < 0xF5 ? 4
                                                           : 0;
    bool good = size > 0 && at + size <= text.size();
    for (std::size_t i = 1; good && i < size; ++i) {
      good = (static_cast<unsigned char>(text[at + i]) & 0xC0U) == 0x80U;
    }
    // Surrogates and what is longer than it has to be, in three and four bytes.
    if (good && size > 2) {
      const auto next = static_cast<unsigned char>(text[at + 1]);
      good = !(lead == 0xE0 && next < 0xA0) && !(lead == 0xED && next >= 0xA0) &&
             !(lead == 0xF0 && next < 0x90) && !(lead == 0xF4 && next >= 0x90);
    }
    const std::string_view piece = good ? text.substr(at, size) : std::string_view("?");
    if (out.size() + piece.size() > limit) break;
    out += piece;
    at += good ? size : 1;
  }
  return out;
}

}  // namespace gobuildenv::agent
