#include "agent/collector/text.hpp"

#include <fmt/format.h>

#include <array>

namespace gobuildenv::agent::collector {

namespace {

/// Length of the well-formed UTF-8 sequence at the front of `text`, 0 if there is none. Overlong
/// forms and surrogates are not looked for: this is for showing, not for comparing.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::size_t length = byte(0) < 0x80   ? 1
                             : byte(0) < 0xC2 ? 0
                             : byte(0) < 0xE0 ? 2
                             : byte(0) < 0xF0 ? 3
                             : byte(0) < 0xF5 ? 4
                                              : 0;
  if (length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return 0;
  }
  return length;
}

}  // namespace

std::string duration_text(seconds value) {
  struct Scale {
    std::int64_t size;
    char letter;
  };
  static constexpr std::array<Scale, 4> kScales{{{86'400, 'd'}, {3'600, 'h'}, {60, 'm'}, {1, 's'}}};
  std::int64_t left = value.count();
  std::string out;
  int shown = 0;
  for (const auto& [size, letter] : kScales) {
    const std::int64_t count = left / size;
    left -= count * size;
    if (count != 0) out += fmt::format("{}{}", count, letter);
    if ((count != 0 || shown > 0) && ++shown == 2) break;
  }
  return out.empty() ? "0s" : out;
}

std::string size_text(std::uint64_t bytes) {
  static constexpr std::array<std::string_view, 5> kNames{"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t at = 0;
  while (value >= 1024 && at + 1 < kNames.size()) {
    value /= 1024;
    ++at;
  }
  return value < 10 && at > 0 ? fmt::format("{:.1f} {}", value, kNames[at])
                              : fmt::format("{:.0f} {}", value, kNames[at]);
}

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto first = static_cast<unsigned char>(text.front());
    const std::size_t length = utf8_length(text);
    // U+0080 to U+009F are control characters too.
    const bool c1 = length == 2 && first == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0;
    if (length == 0 || first < 0x20 || first == 0x7F || first == '\\' || c1) {
      out += fmt::format("\\x{:02x}", first);
      text.remove_prefix(1);
      continue;
    }
    out += text.substr(0, length);
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace gobuildenv::agent::collector
