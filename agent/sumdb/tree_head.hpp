#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "agent/sumdb/error.hpp"
#include "agent/sumdb/hash.hpp"
#include "agent/sumdb/note.hpp"

namespace gobuildenv::agent::sumdb {

/// What a database says of itself at one time: so many records, with this root.
struct TreeHead {
  std::uint64_t size = 0;  ///< below 2^63
  Hash root{};
  friend bool operator==(const TreeHead&, const TreeHead&) = default;
};

/// A head and the note that proves it.
struct SignedHead {
  TreeHead head;
  std::string note;
};

/// Reads a head's text: "go.sum database tree", the size, the root in base64, one a line; further
/// lines are for later versions.
[[nodiscard]] tl::expected<TreeHead, Error> parse_tree_head(std::string_view text);

/// The text parse_tree_head() reads.
[[nodiscard]] std::string tree_head_text(const TreeHead& head);

/// Verifies a note and reads the head in it.
[[nodiscard]] tl::expected<SignedHead, Error> open_signed_head(std::string_view note,
                                                               const VerifierKey& key);

/// Reads a decimal number below 2^63 without sign or leading zeros.
[[nodiscard]] tl::expected<std::uint64_t, Error> parse_count(std::string_view text);

}  // namespace gobuildenv::agent::sumdb
