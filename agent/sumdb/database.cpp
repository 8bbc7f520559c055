#include "agent/sumdb/database.hpp"

#include <fmt/format.h>

namespace gobuildenv::agent::sumdb {
namespace {

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

tl::expected<Database, std::string> parse_database(std::string_view text) {
  using Bad = tl::unexpected<std::string>;
  text = trim(text);
  const std::size_t blank = text.find_first_of(" \t");
  std::string_view key = text.substr(0, blank);
  const std::string_view url =
      blank == std::string_view::npos ? std::string_view{} : trim(text.substr(blank));
  if (key.empty() || key == "off") {
    return Bad(
        "no checksum database: toolchains could not be verified; name one as GOSUMDB does, or pin "
        "spec.toolchain.sums");
  }
  if (key.find('+') == std::string_view::npos) {
    if (known_key().substr(0, known_key().find('+')) != key || known_key().empty()) {
      return Bad(fmt::format(
          "the key of checksum database \"{}\" is not known: write it whole, NAME+ID+KEY", key));
    }
    key = known_key();
  }
  auto parsed = parse_verifier_key(key);
  if (!parsed) return Bad(parsed.error());
  if (!url.empty() && !url.starts_with("https://") && !url.starts_with("http://")) {
    return Bad(fmt::format("\"{}\" is not where a checksum database is: write https://HOST", url));
  }
  return Database{*std::move(parsed), std::string(url)};
}

}  // namespace gobuildenv::agent::sumdb
