#include "crds/scalars.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>
#include <utility>

namespace gobuildenv::crds {
namespace {

/// A non-negative decimal with an optional fraction, exact up to 18 significant digits.
struct Decimal {
  long double value = 0;
  bool any_digit = false;
};

Decimal take_decimal(std::string_view& rest) {
  Decimal out;
  long double scale = 1;
  bool fraction = false;
  std::size_t i = 0;
  for (; i < rest.size(); ++i) {
    const char c = rest[i];
    if (c == '.' && !fraction) {
      fraction = true;
    } else if (c >= '0' && c <= '9') {
      out.any_digit = true;
      out.value = out.value * 10 + (c - '0');
      if (fraction) scale *= 10;
    } else {
      break;
    }
    if (i > 64) return {};
  }
  rest.remove_prefix(i);
  out.value /= scale;
  return out;
}

bool take(std::string_view& rest, std::string_view prefix) {
  if (!rest.starts_with(prefix)) return false;
  rest.remove_prefix(prefix.size());
  return true;
}

/// 2^63, the first value that does not fit.
constexpr long double kTooLarge = 9223372036854775808.0L;

constexpr std::array kBinary{
    std::pair{std::string_view{"Ki"}, 10}, std::pair{std::string_view{"Mi"}, 20},
    std::pair{std::string_view{"Gi"}, 30}, std::pair{std::string_view{"Ti"}, 40},
    std::pair{std::string_view{"Pi"}, 50}, std::pair{std::string_view{"Ei"}, 60}};

constexpr std::array kDecimal{
    std::pair{std::string_view{"n"}, -9}, std::pair{std::string_view{"u"}, -6},
    std::pair{std::string_view{"m"}, -3}, std::pair{std::string_view{"k"}, 3},
    std::pair{std::string_view{"M"}, 6},  std::pair{std::string_view{"G"}, 9},
    std::pair{std::string_view{"T"}, 12}, std::pair{std::string_view{"P"}, 15},
    std::pair{std::string_view{"E"}, 18}};

std::optional<long double> suffix_factor(std::string_view suffix) {
  if (suffix.empty()) return 1.0L;
  for (const auto& [name, power] : kBinary) {
    if (suffix == name) return std::ldexp(1.0L, power);
  }
  for (const auto& [name, power] : kDecimal) {
    if (suffix == name) return std::pow(10.0L, static_cast<long double>(power));
  }
  if (suffix.front() != 'e' && suffix.front() != 'E') return std::nullopt;
  suffix.remove_prefix(1);
  const bool negative = take(suffix, "-");
  if (!negative) take(suffix, "+");
  if (suffix.empty() || suffix.size() > 3) return std::nullopt;
  int exponent = 0;
  for (const char c : suffix) {
    if (c < '0' || c > '9') return std::nullopt;
    exponent = exponent * 10 + (c - '0');
  }
  return std::pow(10.0L, static_cast<long double>(negative ? -exponent : exponent));
}

}  // namespace

std::optional<std::chrono::seconds> parse_duration(std::string_view text) {
  take(text, "+");
  if (text == "0") return std::chrono::seconds{0};
  if (text.empty()) return std::nullopt;
  long double seconds = 0;
  while (!text.empty()) {
    const Decimal number = take_decimal(text);
    if (!number.any_digit) return std::nullopt;
    if (take(text, "ms")) {
      seconds += number.value * 1e-3L;
    } else if (take(text, "us") || take(text, "\u00b5s") || take(text, "\u03bcs")) {
      seconds += number.value * 1e-6L;
    } else if (take(text, "ns")) {
      seconds += number.value * 1e-9L;
    } else if (take(text, "h")) {
      seconds += number.value * 3600;
    } else if (take(text, "m")) {
      seconds += number.value * 60;
    } else if (take(text, "s")) {
      seconds += number.value;
    } else {
      return std::nullopt;
    }
  }
  // Go counts nanoseconds in 64 bits.
  if (seconds * 1e9L >= kTooLarge) return std::nullopt;
  return std::chrono::seconds{static_cast<std::int64_t>(seconds)};
}

std::string format_duration(std::chrono::seconds duration) {
  const std::int64_t total = duration.count();
  std::string out;
  if (total >= 3600) out += fmt::format("{}h", total / 3600);
  if (total % 3600 >= 60) out += fmt::format("{}m", total % 3600 / 60);
  if (total % 60 != 0 || out.empty()) out += fmt::format("{}s", total % 60);
  return out;
}

std::optional<std::int64_t> parse_quantity(std::string_view text) {
  take(text, "+");
  const Decimal number = take_decimal(text);
  if (!number.any_digit) return std::nullopt;
  const auto factor = suffix_factor(text);
  if (!factor) return std::nullopt;
  const long double bytes = std::ceil(number.value * *factor);
  if (!(bytes < kTooLarge)) return std::nullopt;
  return static_cast<std::int64_t>(bytes);
}

std::string format_quantity(std::int64_t bytes) {
  if (bytes != 0) {
    for (auto it = kBinary.rbegin(); it != kBinary.rend(); ++it) {
      const std::int64_t unit = std::int64_t{1} << it->second;
      if (bytes % unit == 0) return fmt::format("{}{}", bytes / unit, it->first);
    }
  }
  return fmt::format("{}", bytes);
}

}  // namespace gobuildenv::crds
