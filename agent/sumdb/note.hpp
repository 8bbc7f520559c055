#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "agent/sumdb/error.hpp"
#include "agent/sumdb/hash.hpp"

/// Signed notes (https://c2sp.org/signed-note): a text, an empty line, and one line a signature.
namespace gobuildenv::agent::sumdb {

/// A verifier key, "<name>+<key id in hex>+<base64 of 0x01 and the Ed25519 public key>".
struct VerifierKey {
  std::string name;
  std::uint32_t id = 0;
  Hash key{};  ///< the 32 bytes of the public key
};

/// Reads a key and checks its id, the first bytes of SHA-256(name ‖ "\n" ‖ 0x01 ‖ key). Error: a
/// sentence.
[[nodiscard]] tl::expected<VerifierKey, std::string> parse_verifier_key(std::string_view text);

/// Key id of an Ed25519 key.
[[nodiscard]] std::uint32_t key_id(std::string_view name, const Hash& key);

/// The text of `note`, its last newline included, when `key` has signed it. Signatures by others
/// are passed over; a wrong one that claims to be by `key` is Unverified.
[[nodiscard]] tl::expected<std::string, Error> open_note(std::string_view note,
                                                         const VerifierKey& key);

}  // namespace gobuildenv::agent::sumdb
