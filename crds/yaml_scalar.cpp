#include "crds/yaml_scalar.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "goenv/text.hpp"

namespace gobuildenv::crds {
namespace {

using Json = nlohmann::ordered_json;
using goenv::is_digit;

constexpr std::array<std::string_view, 5> kNull{"", "~", "null", "Null", "NULL"};
constexpr std::array<std::string_view, 11> kTrue{"y",  "Y",  "yes",  "Yes",  "YES", "true",
                                                 "on", "On", "True", "TRUE", "ON"};
constexpr std::array<std::string_view, 11> kFalse{"n",   "N",   "no",    "No",    "NO", "false",
                                                  "off", "Off", "False", "FALSE", "OFF"};
constexpr std::array<std::string_view, 12> kUnrepresentable{".nan",  ".NaN",  ".NAN",  ".inf",
                                                            ".Inf",  ".INF",  "+.inf", "+.Inf",
                                                            "+.INF", "-.inf", "-.Inf", "-.INF"};

template <class Words>
bool among(const Words& words, std::string_view text) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

/// A whole number in any of the notations, after underscores have been taken out.
std::optional<Json> resolve_integer(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char mark = text[1];
    base = mark == 'x' || mark == 'X' ? 16 : mark == 'b' || mark == 'B' ? 2 : 8;
    const bool marked = base != 8 || mark == 'o' || mark == 'O';
    text.remove_prefix(marked ? 2 : 1);
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (!negative) return Json(value);
  constexpr std::uint64_t kLowest = std::uint64_t{1} << 63U;
  if (value > kLowest) return std::nullopt;
  if (value == kLowest) return Json(std::numeric_limits<std::int64_t>::min());
  return Json(-static_cast<std::int64_t>(value));
}

/// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
bool looks_like_float(std::string_view text) {
  const auto take_digits = [&] {
    std::size_t n = 0;
    while (n < text.size() && is_digit(text[n])) ++n;
    text.remove_prefix(n);
    return n;
  };
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  const auto whole = take_digits();
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (take_digits() == 0 && whole == 0) return false;
  } else if (whole == 0) {
    return false;
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
    if (take_digits() == 0) return false;
  }
  return text.empty();
}

std::optional<Json> resolve_float(std::string_view text) {
  if (!looks_like_float(text)) return std::nullopt;
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  // A whole number is one, however it was written.
  if (std::trunc(value) == value && std::fabs(value) < 9007199254740992.0) {
    return Json(static_cast<std::int64_t>(value));
  }
  return Json(value);
}

std::optional<Json> resolve_number(std::string_view text) {
  if (!is_digit(text.front()) && text.front() != '-' && text.front() != '+' &&
      text.front() != '.') {
    return std::nullopt;
  }
  std::string compact(text);
  std::erase(compact, '_');
  if (auto integer = resolve_integer(compact)) return integer;
  return resolve_float(compact);
}

/// Digits and what else numbers, dates and times are made of.
bool looks_numeric(std::string_view text) {
  const char first = text.front();
  if (!is_digit(first) && first != '-' && first != '+' && first != '.') return false;
  return goenv::all_of(text, [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ||
           std::string_view("_:.+- xXoOtTzZ").find(c) != std::string_view::npos;
  });
}

}  // namespace

std::optional<Json> resolve_plain_scalar(std::string_view text) {
  if (among(kNull, text)) return Json(nullptr);
  if (among(kTrue, text)) return Json(true);
  if (among(kFalse, text)) return Json(false);
  if (among(kUnrepresentable, text)) return std::nullopt;
  if (auto number = resolve_number(text)) return number;
  return Json(text);
}

bool is_plain_string(std::string_view text) {
  if (text.empty() || text.size() > 512 || looks_numeric(text)) return false;
  const auto safe = [](char c) {
    return goenv::is_alnum(c) ||
           std::string_view("_./-@+=%, :~()").find(c) != std::string_view::npos;
  };
  const char first = text.front();
  if (!goenv::is_alnum(first) && first != '/' && first != '_' && first != '.') return false;
  if (!goenv::all_of(text, safe) || text.back() == ' ' || text.back() == ':') return false;
  if (text.find(": ") != std::string_view::npos) return false;
  // Every spelling of every parser, not only those that Kubernetes knows.
  std::string lower(text);
  for (char& c : lower) {
    if (goenv::is_upper(c)) c = static_cast<char>(c - 'A' + 'a');
  }
  for (const std::string_view word :
       {"y", "n", "yes", "no", "on", "off", "true", "false", "null", ".nan", ".inf"}) {
    if (lower == word) return false;
  }
  const auto meaning = resolve_plain_scalar(text);
  return meaning && meaning->is_string();
}

}  // namespace gobuildenv::crds
