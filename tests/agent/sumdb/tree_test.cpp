#include "agent/sumdb/tree.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tests/agent/sumdb/test_database.hpp"

namespace gobuildenv::agent::sumdb {
namespace {

using testing::TestDatabase;
using Kind = Error::Kind;

/// One that holds `size` records; the largest is shared, since it is slow to make.
TestDatabase& database_of(std::uint64_t size) {
  static TestDatabase database;
  while (database.size() < size) database.grow(1);
  database.shown_size = size;
  database.tamper = {};
  return database;
}

TEST(Tree, HashesAreThoseOfTheRfc) {
  // SHA-256 of nothing, and of a leaf and a node over nothing in particular, by sha256sum.
  EXPECT_EQ(to_base64(empty_root()), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
  EXPECT_EQ(record_hash("abc"), sha256(std::string("\0abc", 4)));
  const Hash zero{};
  EXPECT_EQ(node_hash(zero, zero), sha256("\x01" + std::string(64, '\0')));
}

TEST(Tree, TheEmptyTreeNeedsNoTile) {
  TestDatabase database;
  const auto tree = Tree::open({0, empty_root()}, database);
  ASSERT_TRUE(tree);
  EXPECT_TRUE(database.asked.empty());
  EXPECT_FALSE(Tree::open({0, Hash{}}, database));
}

TEST(Tree, EveryRecordAndEveryPrefixIsProved) {
  for (const std::uint64_t size : {1U, 2U, 3U, 7U, 8U, 255U, 256U, 257U, 511U, 512U, 513U, 700U}) {
    TestDatabase& database = database_of(size);
    auto tree = Tree::open(database.head(size), database);
    ASSERT_TRUE(tree) << size << ": " << tree.error().message;
    for (std::uint64_t id = 0; id < size; ++id) {
      ASSERT_EQ(tree->record(id), record_hash(database.record(id))) << size << " " << id;
    }
    for (std::uint64_t part = 0; part <= size; ++part) {
      ASSERT_EQ(tree->root_at(part), database.root(part)) << size << " " << part;
    }
    EXPECT_EQ(tree->record(size).error().kind, Kind::Unverified);
    EXPECT_EQ(tree->root_at(size + 1).error().kind, Kind::Unverified);
  }
}

TEST(Tree, ThreeLevelsOfTiles) {
  constexpr std::uint64_t kSize = 65536 + 256 * 3 + 5;
  TestDatabase& database = database_of(kSize);
  auto tree = Tree::open(database.head(kSize), database);
  ASSERT_TRUE(tree) << tree.error().message;
  for (const std::uint64_t id : {0UL, 255UL, 256UL, 40000UL, 65535UL, 65536UL, kSize - 1}) {
    EXPECT_EQ(tree->record(id), record_hash(database.record(id)));
    EXPECT_EQ(tree->root_at(id), database.root(id));
  }
}

TEST(Tree, AWrongRootOrSizeIsRefused) {
  TestDatabase& database = database_of(300);
  TreeHead head = database.head(300);
  head.root[7] ^= 1;
  EXPECT_EQ(Tree::open(head, database).error().kind, Kind::Unverified);
  EXPECT_FALSE(Tree::open({299, database.root(300)}, database));
}

TEST(Tree, ACompletedTileStandsForItsPart) {
  TestDatabase& database = database_of(700);
  database.tamper = [](std::string_view path, auto& answer) {
    if (path == "/tile/8/0/002.p/88") {
      answer = tl::unexpected(Error{Kind::NotFound, "only complete"});
    } else if (path == "/tile/8/0/002") {
      answer = std::string();
      for (std::uint64_t id = 512; id < 512 + 256; ++id) {
        const Hash hash = id < 600 ? record_hash(database_of(700).record(id)) : Hash{};
        answer->append(hash.begin(), hash.end());
      }
    }
  };
  const auto tamper = database.tamper;
  const TreeHead head = database.head(600);
  database.tamper = tamper;
  auto tree = Tree::open(head, database);
  ASSERT_TRUE(tree) << tree.error().message;
  EXPECT_EQ(tree->record(599), record_hash(database.record(599)));
}

TEST(Tree, AMissingTileIsAServerOutOfOrder) {
  TestDatabase& database = database_of(300);
  database.tamper = [](std::string_view path, auto& answer) {
    if (path.starts_with("/tile/8/0/000")) answer = tl::unexpected(Error{Kind::NotFound, "gone"});
  };
  auto tree = Tree::open(database.head(300), database);
  ASSERT_TRUE(tree);
  EXPECT_EQ(tree->record(3).error().kind, Kind::Unreachable);
}

RC_GTEST_PROP(TreeProperty, ProofsHoldAndOneFlippedBitIsRefused, ()) {
  const auto size = *rc::gen::inRange<std::uint64_t>(1, 1500);
  const auto id = *rc::gen::inRange<std::uint64_t>(0, size);
  const auto part = *rc::gen::inRange<std::uint64_t>(0, size + 1);
  TestDatabase& database = database_of(size);
  const TreeHead head = database.head(size);
  database.asked.clear();
  auto tree = Tree::open(head, database);
  RC_ASSERT(tree.has_value());
  RC_ASSERT(tree->record(id) == record_hash(database.record(id)));
  RC_ASSERT(tree->root_at(part) == database.root(part));

  // Flip one bit of one tile that was needed: nothing may be given but errors.
  const auto asked = database.asked;
  const auto victim = *rc::gen::elementOf(asked);
  const auto where = *rc::gen::inRange<std::size_t>(0, 32 * 8);
  const auto entry = *rc::gen::arbitrary<std::uint32_t>();
  database.tamper = [&](std::string_view path, auto& answer) {
    if (path != victim) return;
    const std::size_t at = entry % (answer->size() / 32) * 32 + where / 8;
    (*answer)[at] = static_cast<char>((*answer)[at] ^ (1 << (where % 8)));
  };
  auto tampered = Tree::open(head, database);
  const bool caught = !tampered || !tampered->record(id) || !tampered->root_at(part);
  database.tamper = {};
  RC_ASSERT(caught);
}

}  // namespace
}  // namespace gobuildenv::agent::sumdb
