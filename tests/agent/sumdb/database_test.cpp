#include "agent/sumdb/database.hpp"

#include <gtest/gtest.h>

#include "tests/agent/sumdb/test_database.hpp"

namespace gobuildenv::agent::sumdb {
namespace {

TEST(Database, ASettingIsReadAsGoReadsIt) {
  const std::string key = testing::TestDatabase().key_text();
  const auto plain = parse_database(key);
  ASSERT_TRUE(plain) << plain.error();
  EXPECT_EQ(plain->key.name, "sum.example");
  EXPECT_EQ(plain->url, "");
  const auto with_url = parse_database(" " + key + "  https://mirror.example/sum ");
  ASSERT_TRUE(with_url) << with_url.error();
  EXPECT_EQ(with_url->url, "https://mirror.example/sum");
}

TEST(Database, TheKnownKeyHoldsAndItsNameIsEnough) {
  if (known_key().empty()) GTEST_SKIP() << "built beside no Go source";
  const auto whole = parse_verifier_key(known_key());
  ASSERT_TRUE(whole) << whole.error();
  const auto named = parse_database(whole->name);
  ASSERT_TRUE(named) << named.error();
  EXPECT_EQ(named->key.key, whole->key);
}

TEST(Database, WhatVerifiesNothingIsRefused) {
  const std::string key = testing::TestDatabase().key_text();
  for (const std::string& bad : {std::string(), std::string("off"), std::string("unknown.example"),
                                 key + " ftp://mirror.example", key + "x"}) {
    EXPECT_FALSE(parse_database(bad)) << bad;
  }
}

}  // namespace
}  // namespace gobuildenv::agent::sumdb
