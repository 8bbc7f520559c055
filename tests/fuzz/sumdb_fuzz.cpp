#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agent/sumdb/lookup.hpp"
#include "agent/sumdb/tile.hpp"
#include "agent/sumdb/tree.hpp"
#include "agent/sumdb/tree_head.hpp"
#include "tests/agent/sumdb/test_database.hpp"

namespace {

using namespace gobuildenv::agent::sumdb;

constexpr std::uint64_t kSize = 700;

testing::TestDatabase& database() {
  static testing::TestDatabase made;
  if (made.size() == 0) made.grow(kSize);
  return made;
}

void require(bool holds) {
  if (!holds) std::abort();
}

/// Whatever a server does to the tiles: what is given is the truth, or an error.
void lie_about_tiles(std::string_view data) {
  auto& honest = database();
  honest.asked.clear();
  std::size_t at = 0;
  honest.tamper = [&](std::string_view, auto& answer) {
    if (!answer || at + 4 > data.size()) return;
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(data[at + i]); };
    const std::size_t where = (byte(0) * 256U + byte(1)) % (answer->size() + 1);
    if (where < answer->size()) {
      (*answer)[where] = static_cast<char>((*answer)[where] ^ data[at + 2]);
    } else {
      answer->resize(answer->size() - byte(2) % (answer->size() + 1));
    }
    at += 3;
  };
  static const TreeHead kHead = honest.head(kSize);
  auto tree = Tree::open(kHead, honest);
  if (tree && !data.empty()) {
    const std::uint64_t id = static_cast<unsigned char>(data.back()) * 2U;
    if (const auto hash = tree->record(id)) require(*hash == record_hash(honest.record(id)));
    if (const auto root = tree->root_at(id)) require(*root == honest.root(id));
  }
  honest.tamper = {};
}

}  // namespace

/// Any bytes as each thing a checksum database answers with.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const VerifierKey kKey = database().key();

  require(!open_note(text, kKey) || text.find("sum.example") != std::string_view::npos);
  if (text.ends_with('\n')) {
    // The same text, signed: now the head in it is what is read.
    if (const auto head = open_signed_head(database().sign(text), kKey)) {
      require(text.starts_with(tree_head_text(head->head)));
    }
  }
  if (const auto head = parse_tree_head(text))
    require(text.starts_with(tree_head_text(head.value())));
  if (const auto lookup = parse_lookup(text)) {
    require(std::to_string(lookup->id) + "\n" + lookup->text + "\n" + lookup->note == text);
    if (const auto sum = sum_in_record(lookup->text, "m", "v1")) require(sum->size() == 47);
  }
  if (const auto key = parse_verifier_key(text)) require(key_id(key->name, key->key) == key->id);
  if (const auto path = lookup_path(text, "v1")) require(path->ends_with("@v1"));
  const std::uint64_t width = size / sizeof(Hash);
  if (const auto tile = parse_tile(text, width)) require(tile->size() == width && width > 0);
  lie_about_tiles(text);
  return 0;
}
