#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

/// Hashes of a checksum database's Merkle tree (RFC 6962, section 2.1, over SHA-256).
namespace gobuildenv::agent::sumdb {

using Hash = std::array<std::uint8_t, 32>;

/// Of one record: SHA-256(0x00 ‖ text).
[[nodiscard]] Hash record_hash(std::string_view text);

/// Of an inner node: SHA-256(0x01 ‖ left ‖ right).
[[nodiscard]] Hash node_hash(const Hash& left, const Hash& right);

/// Root of a tree without records: SHA-256 of nothing.
[[nodiscard]] Hash empty_root();

/// Root of the complete subtree over `leaves`, whose number is a power of two.
[[nodiscard]] Hash complete_root(std::span<const Hash> leaves);

/// SHA-256 of `bytes` as they are.
[[nodiscard]] Hash sha256(std::string_view bytes);

/// Base64 with padding, as heads and sums are written.
[[nodiscard]] std::string to_base64(const Hash& hash);

/// Reads base64 in the one form an encoder writes: padding, no blanks, no loose bits.
[[nodiscard]] std::optional<std::string> strict_base64(std::string_view text);

}  // namespace gobuildenv::agent::sumdb
