#include "agent/sumdb/hash.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "kube/base64.hpp"

namespace gobuildenv::agent::sumdb {
namespace {

constexpr char kLeaf = 0;
constexpr char kNode = 1;

}  // namespace

Hash sha256(std::string_view bytes) {
  Hash hash{};
  unsigned int size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), hash.data(), &size, EVP_sha256(), nullptr) != 1 ||
      size != hash.size()) {
    throw std::runtime_error("OpenSSL cannot compute SHA-256");
  }
  return hash;
}

Hash record_hash(std::string_view text) {
  std::string bytes(1, kLeaf);
  bytes += text;
  return sha256(bytes);
}

Hash node_hash(const Hash& left, const Hash& right) {
  std::array<char, 1 + 2 * sizeof(Hash)> bytes{kNode};
  std::copy(left.begin(), left.end(), bytes.begin() + 1);
  std::copy(right.begin(), right.end(), bytes.begin() + 1 + sizeof(Hash));
  return sha256({bytes.data(), bytes.size()});
}

Hash empty_root() { return sha256({}); }

Hash complete_root(std::span<const Hash> leaves) {
  std::vector<Hash> row(leaves.begin(), leaves.end());
  while (row.size() > 1) {
    for (std::size_t i = 0; i < row.size() / 2; ++i) {
      row[i] = node_hash(row[2 * i], row[2 * i + 1]);
    }
    row.resize(row.size() / 2);
  }
  return row.at(0);
}

std::string to_base64(const Hash& hash) {
  return kube::encode_base64({reinterpret_cast<const char*>(hash.data()), hash.size()});
}

std::optional<std::string> strict_base64(std::string_view text) {
  auto bytes = kube::decode_base64(text);
  if (!bytes || kube::encode_base64(*bytes) != text) return std::nullopt;
  return bytes;
}

}  // namespace gobuildenv::agent::sumdb
