#pragma once

#include <algorithm>
#include <string_view>

namespace gobuildenv::webhooks {

/// Whether `name` matches `pattern`, in which `*` stands for any run of characters and everything
/// else for itself. Linear in practice: one backtracking point.
constexpr bool glob_match(std::string_view pattern, std::string_view name) {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = std::string_view::npos;
  std::size_t resume = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

/// Whether any of `patterns` (a range of strings) matches `name`.
template <typename Patterns>
constexpr bool glob_match_any(const Patterns& patterns, std::string_view name) {
  return std::any_of(std::begin(patterns), std::end(patterns),
                     [name](const auto& pattern) { return glob_match(pattern, name); });
}

}  // namespace gobuildenv::webhooks
