#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sumdb/hash.hpp"
#include "agent/sumdb/note.hpp"
#include "agent/sumdb/reader.hpp"
#include "agent/sumdb/tree_head.hpp"

struct evp_pkey_st;

namespace gobuildenv::agent::sumdb::testing {

/// A checksum database in memory, with a key of its own, which also serves lies when asked to.
class TestDatabase final : public Reader {
 public:
  /// `seed` makes the key; the same seed makes the same.
  explicit TestDatabase(std::string name = "sum.example", unsigned char seed = 1);

  /// Adds one record; gives its id.
  std::uint64_t add(std::string text);
  /// Adds the record of a module version with the sum `h1`.
  std::uint64_t add_module(std::string_view module, std::string_view version, std::string_view h1);
  /// Adds `count` records about nothing in particular.
  void grow(std::uint64_t count);

  [[nodiscard]] std::uint64_t size() const { return records_.size(); }
  [[nodiscard]] const std::string& record(std::uint64_t id) const { return records_.at(id); }
  /// Root over the first `size` records, straight from the definition in RFC 6962.
  [[nodiscard]] Hash root(std::uint64_t size) const;
  [[nodiscard]] TreeHead head(std::uint64_t size) const { return {size, root(size)}; }
  [[nodiscard]] std::string signed_head(std::uint64_t size) const;
  /// A note over any text with this database's signature.
  [[nodiscard]] std::string sign(std::string_view text) const;
  [[nodiscard]] std::string key_text() const;
  [[nodiscard]] VerifierKey key() const;

  /// What is shown as the newest head; 0: all records. Tiles are those of that tree.
  std::uint64_t shown_size = 0;
  /// Changes answers before they go out; may be empty.
  std::function<void(std::string_view path, tl::expected<std::string, Error>& answer)> tamper;
  std::vector<std::string> asked;  ///< paths, in order

  tl::expected<std::string, Error> read(std::string_view path) override;

 private:
  [[nodiscard]] std::uint64_t shown() const { return shown_size == 0 ? size() : shown_size; }
  [[nodiscard]] Hash range_root(std::uint64_t begin, std::uint64_t end) const;
  tl::expected<std::string, Error> answer(std::string_view path) const;

  std::string name_;
  std::shared_ptr<evp_pkey_st> pkey_;
  Hash public_key_{};
  std::vector<std::string> records_;
  std::vector<Hash> leaves_;
  std::map<std::string, std::uint64_t, std::less<>> modules_;
  mutable std::map<std::pair<std::uint64_t, std::uint64_t>, Hash> complete_;
};

}  // namespace gobuildenv::agent::sumdb::testing
