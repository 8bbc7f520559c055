#include "tests/agent/sumdb/test_database.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <bit>
#include <cstdlib>
#include <utility>

#include "agent/sumdb/tile.hpp"
#include "kube/base64.hpp"

namespace gobuildenv::agent::sumdb::testing {

TestDatabase::TestDatabase(std::string name, unsigned char seed) : name_(std::move(name)) {
  std::array<unsigned char, 32> secret{};
  secret.fill(seed);
  pkey_.reset(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, secret.data(), secret.size()),
              EVP_PKEY_free);
  std::size_t size = public_key_.size();
  EVP_PKEY_get_raw_public_key(pkey_.get(), public_key_.data(), &size);
}

std::uint64_t TestDatabase::add(std::string text) {
  leaves_.push_back(record_hash(text));
  records_.push_back(std::move(text));
  return records_.size() - 1;
}

std::uint64_t TestDatabase::add_module(std::string_view module, std::string_view version,
                                       std::string_view h1) {
  const std::uint64_t id = add(fmt::format("{0} {1} {2}\n{0} {1}/go.mod h1:{3}\n", module, version,
                                           h1, to_base64(sha256("go.mod"))));
  modules_[fmt::format("/lookup/{}@{}", module, version)] = id;
  return id;
}

void TestDatabase::grow(std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    add(fmt::format("mod.example/m{} v1.0.0 h1:{}\n", size(), to_base64(sha256("x"))));
  }
}

Hash TestDatabase::range_root(std::uint64_t begin, std::uint64_t end) const {
  if (end == begin) return empty_root();
  if (end - begin == 1) return leaves_.at(begin);
  const bool complete = std::has_single_bit(end - begin);
  if (const auto known = complete_.find({begin, end}); complete && known != complete_.end()) {
    return known->second;
  }
  const std::uint64_t left = std::bit_floor(end - begin - 1);
  const Hash hash = node_hash(range_root(begin, begin + left), range_root(begin + left, end));
  if (complete) complete_[{begin, end}] = hash;
  return hash;
}

Hash TestDatabase::root(std::uint64_t size) const { return range_root(0, size); }

std::string TestDatabase::signed_head(std::uint64_t size) const {
  return sign(tree_head_text(head(size)));
}

std::string TestDatabase::sign(std::string_view text) const {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> ctx(EVP_MD_CTX_new(),
                                                                    EVP_MD_CTX_free);
  std::array<unsigned char, 64> signature{};
  std::size_t size = signature.size();
  if (EVP_DigestSignInit(ctx.get(), nullptr, nullptr, nullptr, pkey_.get()) != 1 ||
      EVP_DigestSign(ctx.get(), signature.data(), &size,
                     reinterpret_cast<const unsigned char*>(text.data()), text.size()) != 1) {
    std::abort();
  }
  const std::uint32_t id = key_id(name_, public_key_);
  std::string bytes;
  for (const unsigned bits : {24U, 16U, 8U, 0U}) bytes += static_cast<char>(id >> bits & 0xffU);
  bytes.append(signature.begin(), signature.end());
  return fmt::format("{}\n\xe2\x80\x94 {} {}\n", text, name_, kube::encode_base64(bytes));
}

std::string TestDatabase::key_text() const {
  std::string bytes(1, '\x01');
  bytes.append(public_key_.begin(), public_key_.end());
  return fmt::format("{}+{:08x}+{}", name_, key_id(name_, public_key_), kube::encode_base64(bytes));
}

VerifierKey TestDatabase::key() const { return {name_, key_id(name_, public_key_), public_key_}; }

tl::expected<std::string, Error> TestDatabase::answer(std::string_view path) const {
  const auto missing = tl::unexpected(Error{Error::Kind::NotFound, std::string(path)});
  if (path == "/latest") return signed_head(shown());
  if (const auto module = modules_.find(path); module != modules_.end()) {
    if (module->second >= shown()) return missing;
    return fmt::format("{}\n{}\n{}", module->second, records_.at(module->second),
                       signed_head(shown()));
  }
  // Every tile of the shown tree, by trying its few names: the test must not parse paths as the
  // code under test writes them.
  for (unsigned level = 0; level < 8; ++level) {
    const std::uint64_t nodes = level * kTileHeight >= 64 ? 0 : shown() >> (level * kTileHeight);
    for (std::uint64_t first = 0; first < nodes; first += kTileWidth) {
      for (std::uint64_t width = 1; width <= std::min(kTileWidth, nodes - first); ++width) {
        if (TileId{level, first / kTileWidth, width}.path() != path) continue;
        std::string bytes;
        const std::uint64_t span = std::uint64_t{1} << (level * kTileHeight);
        for (std::uint64_t node = first; node < first + width; ++node) {
          const Hash hash = range_root(node * span, (node + 1) * span);
          bytes.append(hash.begin(), hash.end());
        }
        return bytes;
      }
    }
  }
  return missing;
}

tl::expected<std::string, Error> TestDatabase::read(std::string_view path) {
  asked.emplace_back(path);
  auto out = answer(path);
  if (tamper) tamper(path, out);
  return out;
}

}  // namespace gobuildenv::agent::sumdb::testing
