#include "agent/sumdb/client.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "agent/sumdb/lookup.hpp"
#include "tests/agent/sumdb/test_database.hpp"
#include "tests/agent/temp_folder.hpp"

namespace gobuildenv::agent::sumdb {
namespace {

using testing::TestDatabase;
using Kind = Error::Kind;

constexpr std::string_view kModule = "golang.org/toolchain";
constexpr std::string_view kVersion = "v0.0.1-go1.22.3.linux-amd64";

std::string sum_of(std::string_view content) { return "h1:" + to_base64(sha256(content)); }

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() {
    database.grow(300);
    database.add_module(kModule, kVersion, sum_of("right"));
    database.grow(400);
    heads = *HeadStore::open(folder.path("head"), database.key());
  }
  tl::expected<std::string, Error> ask() {
    return verified_sum(database, *heads, kModule, kVersion);
  }

  agent::testing::TempFolder folder;
  TestDatabase database;
  std::unique_ptr<HeadStore> heads;
};

TEST_F(ClientTest, GivesTheSumAndKeepsTheHead) {
  EXPECT_EQ(ask(), sum_of("right"));
  EXPECT_EQ(heads->current()->head, database.head(701));
  database.grow(1000);
  EXPECT_EQ(ask(), sum_of("right"));
  EXPECT_EQ(heads->current()->head, database.head(1701));
}

TEST_F(ClientTest, AnOlderHeadOfTheSameHistoryIsFine) {
  ASSERT_TRUE(ask());
  // A proxy that kept its lookup, and whose tiles are up to date.
  database.tamper = [this](std::string_view path, auto& answer) {
    if (!path.starts_with("/lookup/")) return;
    const auto lookup = parse_lookup(*answer);
    answer = fmt::format("{}\n{}\n{}", lookup->id, lookup->text, database.signed_head(310));
  };
  EXPECT_EQ(ask(), sum_of("right"));
  EXPECT_EQ(heads->current()->head.size, 701U);
}

TEST_F(ClientTest, AnotherHistoryIsAForkThatShowsBothHeads) {
  ASSERT_TRUE(ask());
  const std::string known = heads->current()->note;
  for (const std::uint64_t more : {0U, 1U, 900U}) {
    TestDatabase fork;  // the same key
    fork.grow(299);
    fork.add("mod.example/other v1.0.0 h1:forged\n");
    fork.add_module(kModule, kVersion, sum_of("wrong"));
    fork.grow(400 + more);
    const auto answer = verified_sum(fork, *heads, kModule, kVersion);
    ASSERT_FALSE(answer) << more;
    EXPECT_EQ(answer.error().kind, Kind::Forked) << answer.error().message;
    EXPECT_NE(answer.error().message.find(known), std::string::npos);
    EXPECT_NE(answer.error().message.find(fork.signed_head(fork.size())), std::string::npos);
  }
  TestDatabase shorter;
  shorter.grow(299);
  shorter.add_module(kModule, kVersion, sum_of("wrong"));
  shorter.grow(1);
  // Its own tiles do not belong to the tree we know: refused before the fork can be shown.
  EXPECT_EQ(verified_sum(shorter, *heads, kModule, kVersion).error().kind, Kind::Unreachable);
  EXPECT_EQ(heads->current()->note, known);
}

TEST_F(ClientTest, AnOlderHeadOfAnotherHistoryIsAForkToo) {
  ASSERT_TRUE(ask());
  TestDatabase fork;
  fork.grow(250);
  database.tamper = [&](std::string_view path, auto& answer) {
    if (!path.starts_with("/lookup/")) return;
    TestDatabase other;
    other.grow(200);
    other.add("mod.example/other v1.0.0 h1:forged\n");
    other.grow(200);
    const auto lookup = parse_lookup(*answer);
    answer = fmt::format("{}\n{}\n{}", lookup->id, lookup->text, other.signed_head(401));
  };
  EXPECT_EQ(ask().error().kind, Kind::Forked);
}

TEST_F(ClientTest, WhatIsChangedOnTheWayIsRefused) {
  const auto replaced = [](std::string text, std::string_view from, std::string_view to) {
    return text.replace(text.find(from), from.size(), to);
  };
  const struct {
    std::string_view what;
    std::function<std::string(const std::string&)> change;
    Kind kind;
  } kCases[] = {
      {"sum", [&](const std::string& t) { return replaced(t, sum_of("right"), sum_of("wrong")); },
       Kind::Unverified},
      {"id", [&](const std::string& t) { return replaced(t, "300\n", "301\n"); }, Kind::Unverified},
      {"id outside", [&](const std::string& t) { return replaced(t, "300\n", "70100\n"); },
       Kind::Unverified},
      {"size", [&](const std::string& t) { return replaced(t, "\n701\n", "\n702\n"); },
       Kind::Unverified},
      {"other record",
       [&](const std::string& t) {
         return "0\n" + database.record(0) + t.substr(t.find("\n\n") + 1);
       },
       Kind::NotFound},
      {"no head", [&](const std::string& t) { return t.substr(0, t.find("\n\n") + 2); },
       Kind::Malformed},
      {"nothing", [&](const std::string&) { return std::string(); }, Kind::Malformed},
      {"negative id", [&](const std::string& t) { return replaced(t, "300\n", "-1\n"); },
       Kind::Malformed},
      {"huge id",
       [&](const std::string& t) { return replaced(t, "300\n", "99999999999999999999\n"); },
       Kind::Malformed},
      {"octal id", [&](const std::string& t) { return replaced(t, "300\n", "0300\n"); },
       Kind::Malformed},
  };
  for (const auto& [what, change, kind] : kCases) {
    database.tamper = [&](std::string_view path, auto& answer) {
      if (path.starts_with("/lookup/")) answer = change(*answer);
    };
    const auto answer = ask();
    ASSERT_FALSE(answer) << what;
    EXPECT_EQ(answer.error().kind, kind) << what << ": " << answer.error().message;
  }
}

TEST_F(ClientTest, AnUnknownVersionIsNotFound) {
  const auto answer = verified_sum(database, *heads, kModule, "v0.0.1-go9.99.0.linux-amd64");
  EXPECT_EQ(answer.error().kind, Kind::NotFound);
}

TEST(Lookup, PathsAreEscaped) {
  EXPECT_EQ(lookup_path("github.com/Azure/x", "v1.0.0"), "/lookup/github.com/!azure/x@v1.0.0");
  EXPECT_FALSE(lookup_path("a b", "v1"));
  EXPECT_FALSE(lookup_path("a", "v1/../x"));
  EXPECT_FALSE(lookup_path("", "v1"));
}

TEST(Lookup, OneSumAndNoOther) {
  const std::string line = "m v1 " + sum_of("a") + "\n";
  EXPECT_EQ(sum_in_record(line + "m v1/go.mod h1:x\n", "m", "v1"), sum_of("a"));
  EXPECT_EQ(sum_in_record(line + line, "m", "v1"), sum_of("a"));
  EXPECT_FALSE(sum_in_record(line + "m v1 " + sum_of("b") + "\n", "m", "v1"));
  EXPECT_FALSE(sum_in_record("m v1 h1:short\n", "m", "v1"));
  EXPECT_FALSE(sum_in_record("m v1 h2:" + to_base64(sha256("a")) + "\n", "m", "v1"));
  EXPECT_EQ(sum_in_record(line, "m", "v2").error().kind, Kind::NotFound);
}

}  // namespace
}  // namespace gobuildenv::agent::sumdb
