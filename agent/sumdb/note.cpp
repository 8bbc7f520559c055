#include "agent/sumdb/note.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <memory>

namespace gobuildenv::agent::sumdb {
namespace {

using Kind = Error::Kind;

constexpr std::size_t kMaxNote = 1'000'000;
constexpr int kMaxSignatures = 100;
constexpr std::string_view kSignatureLine = "\xe2\x80\x94 ";  // an em dash and a space
constexpr char kEd25519 = 1;
constexpr std::size_t kIdBytes = 4;
constexpr std::size_t kSignatureBytes = 64;

tl::unexpected<Error> fail(Kind kind, std::string message) {
  return tl::unexpected(Error{kind, std::move(message)});
}

std::uint32_t big_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < kIdBytes; ++i) {
    value = (value << 8U) | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

bool valid_name(std::string_view name) {
  return !name.empty() && simdjson::validate_utf8(name.data(), name.size()) &&
         std::none_of(name.begin(), name.end(), [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return byte <= ' ' || byte == 0x7f || c == '+';
         });
}

/// UTF-8 without control characters but newlines, so that what is shown is what was signed.
bool valid_text(std::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size()) &&
         std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < ' ' && c != '\n'; });
}

bool verify(const VerifierKey& key, std::string_view text, std::string_view signature) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> pkey(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.key.data(), key.key.size()),
      EVP_PKEY_free);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> ctx(EVP_MD_CTX_new(),
                                                                    EVP_MD_CTX_free);
  return pkey && ctx &&
         EVP_DigestVerifyInit(ctx.get(), nullptr, nullptr, nullptr, pkey.get()) == 1 &&
         EVP_DigestVerify(ctx.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                          signature.size(), reinterpret_cast<const unsigned char*>(text.data()),
                          text.size()) == 1;
}

}  // namespace

std::uint32_t key_id(std::string_view name, const Hash& key) {
  std::string bytes(name);
  bytes += '\n';
  bytes += kEd25519;
  bytes.append(key.begin(), key.end());
  const Hash hash = sha256(bytes);
  return big_endian({reinterpret_cast<const char*>(hash.data()), kIdBytes});
}

tl::expected<VerifierKey, std::string> parse_verifier_key(std::string_view text) {
  using Bad = tl::unexpected<std::string>;
  const std::size_t first = text.find('+');
  const std::size_t second = first == std::string_view::npos ? first : text.find('+', first + 1);
  if (second == std::string_view::npos) {
    return Bad(fmt::format("\"{}\" is not a verifier key: write NAME+ID+KEY", text));
  }
  VerifierKey key;
  key.name = text.substr(0, first);
  const std::string_view id = text.substr(first + 1, second - first - 1);
  const auto [end, code] = std::from_chars(id.data(), id.data() + id.size(), key.id, 16);
  if (!valid_name(key.name) || id.size() != 2 * kIdBytes || code != std::errc{} ||
      end != id.data() + id.size()) {
    return Bad(fmt::format(
        "\"{}\" is not a verifier key: its name or its id of 8 hex digits is malformed", text));
  }
  const auto bytes = strict_base64(text.substr(second + 1));
  if (!bytes || bytes->size() != 1 + key.key.size() || bytes->front() != kEd25519) {
    return Bad(fmt::format("the key of \"{}\" is not an Ed25519 key in base64", key.name));
  }
  std::copy(bytes->begin() + 1, bytes->end(), key.key.begin());
  if (key_id(key.name, key.key) != key.id) {
    return Bad(fmt::format("the key of \"{}\" has another id than {}: it was copied wrongly",
                           key.name, id));
  }
  return key;
}

tl::expected<std::string, Error> open_note(std::string_view note, const VerifierKey& key) {
  if (note.size() > kMaxNote || !valid_text(note)) {
    return fail(Kind::Malformed, "the signed note is too large or not plain text");
  }
  const std::size_t split = note.rfind("\n\n");
  if (split == std::string_view::npos || !note.ends_with('\n')) {
    return fail(Kind::Malformed, "the signed note has no signatures");
  }
  const std::string_view text = note.substr(0, split + 1);
  std::string_view lines = note.substr(split + 2);
  if (lines.empty()) return fail(Kind::Malformed, "the signed note has no signatures");
  bool verified = false;
  for (int count = 0; !lines.empty(); ++count) {
    const std::size_t end = lines.find('\n');
    std::string_view line = lines.substr(0, end);
    lines.remove_prefix(end + 1);
    if (!line.starts_with(kSignatureLine) || count >= kMaxSignatures) {
      return fail(Kind::Malformed, "a signature line of the note is malformed");
    }
    line.remove_prefix(kSignatureLine.size());
    const std::size_t space = line.find(' ');
    const auto bytes =
        space == std::string_view::npos ? std::nullopt : strict_base64(line.substr(space + 1));
    if (!bytes || bytes->size() <= kIdBytes || !valid_name(line.substr(0, space))) {
      return fail(Kind::Malformed, "a signature line of the note is malformed");
    }
    if (line.substr(0, space) != key.name || big_endian(*bytes) != key.id || verified) continue;
    if (bytes->size() != kIdBytes + kSignatureBytes ||
        !verify(key, text, std::string_view(*bytes).substr(kIdBytes))) {
      return fail(Kind::Unverified,
                  fmt::format("the signature by {} on the note does not hold", key.name));
    }
    verified = true;
  }
  if (!verified) {
    return fail(Kind::Unverified, fmt::format("the note is not signed by {}", key.name));
  }
  return std::string(text);
}

}  // namespace gobuildenv::agent::sumdb
