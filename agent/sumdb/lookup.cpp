#include "agent/sumdb/lookup.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>

#include "agent/sumdb/hash.hpp"
#include "agent/sumdb/tree_head.hpp"

namespace gobuildenv::agent::sumdb {
namespace {

using Kind = Error::Kind;

tl::unexpected<Error> fail(Kind kind, std::string message) {
  return tl::unexpected(Error{kind, std::move(message)});
}

/// Non-empty lines, each ended, of UTF-8 without control characters.
bool valid_record(std::string_view text) {
  return text.size() > 1 && text.ends_with('\n') && !text.starts_with('\n') &&
         simdjson::validate_utf8(text.data(), text.size()) &&
         std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < ' ' && c != '\n'; });
}

bool escape(std::string_view text, std::string& out) {
  for (const char c : text) {
    if (c >= 'A' && c <= 'Z') {
      out += '!';
      out += static_cast<char>(c - 'A' + 'a');
    } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               std::string_view("-._~/+").find(c) != std::string_view::npos) {
      out += c;
    } else {
      return false;
    }
  }
  return !text.empty();
}

}  // namespace

tl::expected<Lookup, Error> parse_lookup(std::string_view answer) {
  const std::size_t first = answer.find('\n');
  const std::size_t end = answer.find("\n\n");
  if (end == std::string_view::npos || first == end) {
    return fail(Kind::Malformed, "the checksum database's answer holds no record");
  }
  const auto id = parse_count(answer.substr(0, first));
  if (!id) return tl::unexpected(id.error());
  Lookup lookup{*id, std::string(answer.substr(first + 1, end - first)),
                std::string(answer.substr(end + 2))};
  if (!valid_record(lookup.text)) {
    return fail(Kind::Malformed, "the record in the checksum database's answer is malformed");
  }
  return lookup;
}

tl::expected<std::string, Error> lookup_path(std::string_view module, std::string_view version) {
  std::string path = "/lookup/";
  bool valid = escape(module, path);
  path += '@';
  valid = valid && escape(version, path) && version.find('/') == std::string_view::npos;
  if (!valid) {
    return fail(Kind::Malformed,
                fmt::format("\"{}@{}\" is not a module and its version", module, version));
  }
  return path;
}

tl::expected<std::string, Error> sum_in_record(std::string_view text, std::string_view module,
                                               std::string_view version) {
  const std::string prefix = fmt::format("{} {} ", module, version);
  std::string sum;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.starts_with(prefix)) continue;
    const std::string_view found = line.substr(prefix.size());
    const auto bytes = found.starts_with("h1:") ? strict_base64(found.substr(3)) : std::nullopt;
    if (!bytes || bytes->size() != sizeof(Hash) || (!sum.empty() && sum != found)) {
      return fail(Kind::Malformed,
                  fmt::format("the database's record for {}@{} is malformed", module, version));
    }
    sum = found;
  }
  if (sum.empty()) {
    return fail(Kind::NotFound,
                fmt::format("the database's record does not hold {}@{}", module, version));
  }
  return sum;
}

}  // namespace gobuildenv::agent::sumdb
