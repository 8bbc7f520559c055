#include "agent/caches/module_name.hpp"

#include <algorithm>

namespace gobuildenv::agent {
namespace {

constexpr std::size_t kMaxPath = 512;
constexpr std::size_t kMaxElement = 200;
/// A toolchain in a module cache is a GOROOT; those come from the store alone.
constexpr std::string_view kToolchain = "golang.org/toolchain";

bool is_small(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::optional<std::string> unescape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '!') {
      out += text[i];
    } else if (i + 1 < text.size() && is_small(text[i + 1])) {
      out += static_cast<char>(text[++i] - 'a' + 'A');
    } else {
      return std::nullopt;
    }
  }
  return out;
}

/// Takes digits off the front; a number has no leading zero.
bool take_number(std::string_view& text) {
  std::size_t size = 0;
  while (size < text.size() && is_digit(text[size])) ++size;
  if (size == 0 || (size > 1 && text[0] == '0')) return false;
  text.remove_prefix(size);
  return true;
}

bool take_char(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

bool is_prerelease(std::string_view text) {
  return !text.empty() && text.front() != '.' && text.back() != '.' &&
         text.find("..") == std::string_view::npos &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return is_small(c) || is_digit(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '.';
         });
}

}  // namespace

bool is_path_element(std::string_view element) {
  return !element.empty() && element.size() <= kMaxElement && element.front() != '.' &&
         element.back() != '.' && std::all_of(element.begin(), element.end(), [](char c) {
           return is_small(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~' ||
                  c == '!';
         });
}

std::optional<std::string> unescape_module_path(std::string_view escaped) {
  if (escaped.size() > kMaxPath || escaped == kToolchain) return std::nullopt;
  for (std::string_view rest = escaped;;) {
    const auto slash = rest.find('/');
    const std::string_view element = rest.substr(0, slash);
    if (!is_path_element(element)) return std::nullopt;
    // As in "example.com"; keeps clear of the cache's own folder "cache", too.
    if (rest.size() == escaped.size() && element.find('.') == std::string_view::npos) {
      return std::nullopt;
    }
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  return unescape(escaped);
}

std::optional<std::string> unescape_version(std::string_view escaped) {
  if (escaped.size() > kMaxElement) return std::nullopt;
  auto version = unescape(escaped);
  if (!version) return std::nullopt;
  std::string_view rest = *version;
  constexpr std::string_view kIncompatible = "+incompatible";
  if (rest.ends_with(kIncompatible)) rest.remove_suffix(kIncompatible.size());
  if (!take_char(rest, 'v') || !take_number(rest) || !take_char(rest, '.') || !take_number(rest) ||
      !take_char(rest, '.') || !take_number(rest)) {
    return std::nullopt;
  }
  if (rest.empty()) return version;
  if (!take_char(rest, '-') || !is_prerelease(rest)) return std::nullopt;
  return version;
}

}  // namespace gobuildenv::agent
