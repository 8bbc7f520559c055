#include "agent/sumdb/tree_head.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace gobuildenv::agent::sumdb {
namespace {

constexpr std::string_view kFirstLine = "go.sum database tree\n";

tl::unexpected<Error> malformed(std::string message) {
  return tl::unexpected(Error{Error::Kind::Malformed, std::move(message)});
}

}  // namespace

tl::expected<std::uint64_t, Error> parse_count(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || value < 0 || std::to_string(value) != text) {
    return malformed("a number of the checksum database's answer is malformed");
  }
  return static_cast<std::uint64_t>(value);
}

tl::expected<TreeHead, Error> parse_tree_head(std::string_view text) {
  if (!text.starts_with(kFirstLine)) return malformed("the tree head has another first line");
  text.remove_prefix(kFirstLine.size());
  const std::size_t first = text.find('\n');
  const std::size_t second = first == std::string_view::npos ? first : text.find('\n', first + 1);
  if (second == std::string_view::npos) return malformed("the tree head is cut off");
  const auto size = parse_count(text.substr(0, first));
  const auto root = strict_base64(text.substr(first + 1, second - first - 1));
  TreeHead head;
  if (!size || !root || root->size() != head.root.size()) {
    return malformed("size or root of the tree head is malformed");
  }
  head.size = *size;
  std::copy(root->begin(), root->end(), head.root.begin());
  return head;
}

std::string tree_head_text(const TreeHead& head) {
  return fmt::format("{}{}\n{}\n", kFirstLine, head.size, to_base64(head.root));
}

tl::expected<SignedHead, Error> open_signed_head(std::string_view note, const VerifierKey& key) {
  const auto text = open_note(note, key);
  if (!text) return tl::unexpected(text.error());
  auto head = parse_tree_head(*text);
  if (!head) return tl::unexpected(head.error());
  return SignedHead{*head, std::string(note)};
}

}  // namespace gobuildenv::agent::sumdb
