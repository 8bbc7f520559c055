#include "agent/caches/build_entry.hpp"

#include <fmt/format.h>

#include <charconv>

namespace gobuildenv::agent {
namespace {

constexpr std::size_t kHex = 64;
constexpr std::size_t kNumber = 20;

std::optional<std::uint8_t> digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
  return std::nullopt;
}

std::optional<Sha256> parse_hex(std::string_view text) {
  if (text.size() != kHex) return std::nullopt;
  Sha256 out{};
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto high = digit(text[2 * i]);
    const auto low = digit(text[2 * i + 1]);
    if (!high || !low) return std::nullopt;
    out[i] = static_cast<std::uint8_t>(*high << 4U | *low);
  }
  return out;
}

/// A decimal number, right-aligned with blanks.
template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  const auto begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return std::nullopt;
  text.remove_prefix(begin);
  Number out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return out;
}

}  // namespace

std::string hex(const Sha256& sum) {
  std::string out;
  out.reserve(kHex);
  for (const std::uint8_t byte : sum) fmt::format_to(std::back_inserter(out), "{:02x}", byte);
  return out;
}

std::optional<BuildEntry> parse_build_entry(std::string_view line) {
  if (line.size() != kBuildEntrySize || !line.starts_with("v1 ") || line.back() != '\n') {
    return std::nullopt;
  }
  line.remove_prefix(3);
  const auto take = [&line](std::size_t size) {
    const std::string_view part = line.substr(0, size);
    const bool separated = line[size] == ' ' || (line.size() == size + 1 && line[size] == '\n');
    line.remove_prefix(size + 1);
    return separated ? part : std::string_view();
  };
  const auto action = parse_hex(take(kHex));
  const auto output = parse_hex(take(kHex));
  const auto size = parse_number<std::uint64_t>(take(kNumber));
  const auto time = parse_number<std::int64_t>(take(kNumber));
  if (!action || !output || !size || !time || *time < 0) return std::nullopt;
  return BuildEntry{*action, *output, *size, *time};
}

std::string to_line(const BuildEntry& entry) {
  return fmt::format("v1 {} {} {:>20} {:>20}\n", hex(entry.action), hex(entry.output), entry.size,
                     entry.time);
}

std::optional<Sha256> action_of_name(std::string_view name) {
  if (!name.ends_with("-a")) return std::nullopt;
  name.remove_suffix(2);
  return parse_hex(name);
}

}  // namespace gobuildenv::agent
