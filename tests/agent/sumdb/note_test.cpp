#include "agent/sumdb/note.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/agent/sumdb/test_database.hpp"

namespace gobuildenv::agent::sumdb {
namespace {

using testing::TestDatabase;
using Kind = Error::Kind;

TEST(VerifierKey, IsReadAndItsIdChecked) {
  const TestDatabase database;
  const auto key = parse_verifier_key(database.key_text());
  ASSERT_TRUE(key) << key.error();
  EXPECT_EQ(key->name, "sum.example");
  EXPECT_EQ(key->id, database.key().id);
  EXPECT_EQ(key->key, database.key().key);
}

TEST(VerifierKey, DamageIsAnError) {
  const std::string good = TestDatabase().key_text();
  const std::size_t id = good.find('+') + 1;
  const std::size_t key = good.find('+', id) + 1;
  const auto with = [&](std::size_t at, char c) {
    std::string text = good;
    text[at] = text[at] == c ? static_cast<char>(c + 1) : c;
    return text;
  };
  const std::string other_name = "x" + good;
  for (const std::string& bad :
       {std::string(), std::string("sum.example"), good.substr(0, key),
        good.substr(0, id) + good.substr(key), with(id, 'a'), with(id, 'z'), with(key + 5, 'A'),
        with(key, 'B'), good + "A", good + " ", good.substr(0, good.size() - 1), other_name,
        "+" + good, std::string("a b") + good}) {
    EXPECT_FALSE(parse_verifier_key(bad)) << bad;
  }
}

TEST(Note, GivesTheSignedText) {
  const TestDatabase database;
  const auto text = open_note(database.sign("one\n\ntwo\n"), database.key());
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, "one\n\ntwo\n");
}

TEST(Note, OtherSignaturesArePassedOver) {
  const TestDatabase ours;
  const TestDatabase theirs("other.example", 2);
  const TestDatabase namesake("sum.example", 3);
  const std::string note = ours.sign("text\n");
  const std::string line = note.substr(note.find("\n\n") + 2);
  for (const TestDatabase* other : {&theirs, &namesake}) {
    const std::string both = other->sign("text\n") + line;
    EXPECT_TRUE(open_note(both, ours.key()));
    EXPECT_EQ(open_note(other->sign("text\n"), ours.key()).error().kind, Kind::Unverified);
  }
}

TEST(Note, EveryFlippedBitOfTheTextIsRefused) {
  const TestDatabase database;
  const std::string text = database.signed_head(0);
  const std::size_t signed_part = text.rfind("\n\n") + 1;
  for (std::size_t i = 0; i < signed_part * 8; ++i) {
    std::string changed = text;
    changed[i / 8] = static_cast<char>(changed[i / 8] ^ (1 << (i % 8)));
    EXPECT_FALSE(open_note(changed, database.key())) << i;
  }
}

TEST(Note, MalformedOnesAreErrors) {
  const TestDatabase database;
  const std::string note = database.sign("text\n");
  const std::string line = note.substr(note.find("\n\n") + 2);
  const std::vector<std::string> cases{std::string(),
                                       std::string("\n\n"),
                                       std::string("text\n"),
                                       "text\n" + line,
                                       std::string("text\n\n"),
                                       note + "\n",
                                       note.substr(0, note.size() - 1),
                                       note + "no dash\n",
                                       "\x01" + note,
                                       "\xff" + note,
                                       "text\n\n\xe2\x80\x94 sum.example \n",
                                       "text\n\n\xe2\x80\x94 sum.example AAAA\n",
                                       "text\n\n\xe2\x80\x94 sum.example\n",
                                       "text\n\n\xe2\x80\x94 sum.example ====\n",
                                       std::string(1'000'001, 'x') + note};
  for (const std::string& bad : cases) {
    EXPECT_EQ(open_note(bad, database.key()).error().kind, Kind::Malformed) << bad.substr(0, 100);
  }
  // The right id with a signature of another length.
  std::string shorter = line;
  shorter.replace(shorter.size() - 5, 4, "");
  EXPECT_FALSE(open_note("text\n\n" + shorter, database.key()));
}

}  // namespace
}  // namespace gobuildenv::agent::sumdb
