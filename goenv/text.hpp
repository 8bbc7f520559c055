#pragma once

#include <string>
#include <string_view>
#include <vector>

/// Small questions about text that several rules ask. ASCII only, no locale.
namespace gobuildenv::goenv {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool is_alnum(char c) { return is_digit(c) || is_lower(c) || is_upper(c); }
constexpr bool is_control(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u < 0x20 || u == 0x7f;
}
constexpr bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

template <class Predicate>
constexpr bool all_of(std::string_view text, Predicate predicate) {
  for (const char c : text) {
    if (!predicate(c)) return false;
  }
  return true;
}

constexpr bool has_control(std::string_view text) {
  return !all_of(text, [](char c) { return !is_control(c); });
}
constexpr bool has_space(std::string_view text) {
  return !all_of(text, [](char c) { return !is_space(c); });
}

/// Control characters as "?", at most 64 bytes: fit for an error message.
inline std::string printable(std::string_view text) {
  std::string out(text.substr(0, 64));
  // Not in the middle of a UTF-8 sequence.
  if (text.size() > 64) {
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xC0U) == 0x80U)
      out.pop_back();
    if (!out.empty() && (static_cast<unsigned char>(out.back()) & 0x80U) != 0) out.pop_back();
    out += "...";
  }
  for (char& c : out) {
    if (is_control(c)) c = '?';
  }
  return out;
}

/// The parts between separators; one part, maybe empty, when there is no separator.
inline std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

constexpr std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace gobuildenv::goenv
