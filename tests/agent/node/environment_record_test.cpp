#include "agent/node/environment_record.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace gobuildenv::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const NodePlatform kPlatform{"linux", "amd64"};

std::vector<std::string> names(const std::vector<goenv::GoVersion>& versions) {
  std::vector<std::string> out;
  for (const auto& one : versions) out.push_back(goenv::to_string(one));
  return out;
}

std::string object(const std::string& spec, const std::string& status) {
  return R"({"apiVersion":"gobuildenv.dev/v1alpha1","kind":"GoBuildEnv","metadata":{"name":"ci",)"
         R"("namespace":"team-a","uid":"u-1","resourceVersion":"7"},"spec":)" +
         spec + R"(,"status":)" + status + "}";
}

VolumeSpec volume(const char* version) {
  VolumeSpec spec;
  spec.pod.ns = "team-a";
  spec.environment = "ci";
  spec.toolchain = goenv::parse_version(version).value();
  return spec;
}

TEST(EnvironmentRecord, KnowsEveryReleaseItsPodsMayName) {
  const auto decoded =
      decode_environment(object(R"({"toolchain":{"version":"1.22"}})",
                                R"({"toolchain":{"requested":"1.22","version":"1.22.3"},"history":[
               {"name":"0123456789","generation":1,"toolchain":"1.21.6"},
               {"name":"0123456780","generation":2,"toolchain":"1.22.3"}]})"),
                         kPlatform);
  ASSERT_TRUE(decoded) << decoded.error();
  EXPECT_EQ(decoded->meta.key, (kube::ObjectKey{"team-a", "ci"}));
  EXPECT_EQ(names(decoded->value->versions), (std::vector<std::string>{"1.22.3", "1.21.6"}));
  EXPECT_EQ(names(decoded->value->prefetch), (std::vector<std::string>{"1.22.3"}));
  EXPECT_TRUE(decoded->value->pinned.empty());
}

TEST(EnvironmentRecord, FetchesNothingAheadForDownloads) {
  const auto decoded = decode_environment(
      object(R"({"toolchain":{"version":"1.22.3","delivery":"Download"}})", "{}"), kPlatform);
  ASSERT_TRUE(decoded) << decoded.error();
  EXPECT_EQ(names(decoded->value->versions), (std::vector<std::string>{"1.22.3"}));
  EXPECT_TRUE(decoded->value->prefetch.empty());
}

TEST(EnvironmentRecord, TakesTheSumOfItsOwnPlatform) {
  const std::string spec = R"({"toolchain":{"version":"1.22.3","sums":[
      {"os":"linux","arch":"arm64","sum":"h1:arm"},{"os":"linux","arch":"amd64","sum":"h1:amd"}]}})";
  EXPECT_EQ(decode_environment(object(spec, "{}"), kPlatform)->value->pinned, "h1:amd");
  EXPECT_EQ(decode_environment(object(spec, "{}"), {"linux", "riscv64"})->value->pinned, "");
}

TEST(EnvironmentRecord, ASpecThatCannotBeReadLeavesItsStatus) {
  const auto decoded = decode_environment(
      object(R"({"toolchain":{"version":["1"]}})", R"({"toolchain":{"version":"1.22.3"}})"),
      kPlatform);
  ASSERT_TRUE(decoded) << decoded.error();
  EXPECT_EQ(names(decoded->value->versions), (std::vector<std::string>{"1.22.3"}));
  EXPECT_FALSE(decode_environment("{", kPlatform));
}

TEST(EnvironmentRecord, KnowsWhetherNewerOnesAreAllowed) {
  const auto allows = [](const std::string& spec) {
    return decode_environment(object(spec, "{}"), kPlatform)->value->allow_newer;
  };
  EXPECT_TRUE(allows(R"({"toolchain":{"version":"1.22.3","switching":"AllowNewer"}})"));
  EXPECT_FALSE(allows(R"({"toolchain":{"version":"1.22.3","switching":"Pinned"}})"));
  EXPECT_FALSE(allows(R"({"toolchain":{"version":"1.22.3"}})"));
}

StoredToolchain stored(const char* name, const char* key) {
  return {parse_toolchain_id(name).value(), key, std::string("/r/") + name + "/" + key, {}};
}

TEST(NewerGoroots, AreThoseThatThePodMayHave) {
  const std::vector<StoredToolchain> all = {
      stored("go1.21.6.linux-amd64", "h1-a"),
      stored("go1.22.3.linux-amd64", "h1-b"),
      stored("go1.22.10.linux-amd64", "h1-c"),
      stored("go1.23.1.linux-arm64", "h1-d"),
      stored("go1.24.0.linux-amd64", "ns-uid-h1-e"),
      stored("go1.25.0.linux-amd64", "ns-other-h1-f"),
      stored("go1.26.0.linux-amd64", "h1-g"),
      stored("go1.26.0.linux-amd64", "ns-uid-h1-g"),
  };
  ToolchainWant want;
  want.id = parse_toolchain_id("go1.22.3.linux-amd64").value();
  EXPECT_THAT(newer_goroots(want, all), ElementsAre("/r/go1.22.10.linux-amd64/h1-c/goroot",
                                                    "/r/go1.26.0.linux-amd64/h1-g/goroot"));
  want.pinned = PinnedSum{"h1:x", "uid"};
  EXPECT_THAT(newer_goroots(want, all), ElementsAre("/r/go1.22.10.linux-amd64/h1-c/goroot",
                                                    "/r/go1.24.0.linux-amd64/ns-uid-h1-e/goroot",
                                                    "/r/go1.26.0.linux-amd64/h1-g/goroot"));
}

TEST(NewerGoroots, AreNotMoreThanAFew) {
  std::vector<StoredToolchain> many;
  for (int patch = 0; patch < 20; ++patch) {
    many.push_back(stored(("go1.24." + std::to_string(patch) + ".linux-amd64").c_str(), "h1-a"));
  }
  ToolchainWant want;
  want.id = parse_toolchain_id("go1.22.3.linux-amd64").value();
  const auto found = newer_goroots(want, many);
  ASSERT_EQ(found.size(), 16U);
  EXPECT_EQ(found.front(), "/r/go1.24.4.linux-amd64/h1-a/goroot");
}

TEST(DecideWant, GivesWhatTheEnvironmentDeclares) {
  EnvironmentRecord environment;
  environment.versions = {goenv::parse_version("1.22.3").value()};
  const VolumeSpec spec = volume("1.22.3");
  const auto want = decide_want({spec, &environment, true, {}, kPlatform});
  ASSERT_TRUE(want) << want.error().message;
  EXPECT_EQ(want->id.name(), "go1.22.3.linux-amd64");
  EXPECT_FALSE(want->pinned);
}

TEST(DecideWant, PinnedSumsAreTheNamespacesOwn) {
  EnvironmentRecord environment;
  environment.versions = {goenv::parse_version("1.22.3").value()};
  environment.pinned = "h1:abc";
  const VolumeSpec spec = volume("1.22.3");
  const auto unknown = decide_want({spec, &environment, true, {}, kPlatform});
  ASSERT_FALSE(unknown);
  EXPECT_TRUE(unknown.error().may_pass);
  const auto want = decide_want({spec, &environment, true, "ns-uid", kPlatform});
  ASSERT_TRUE(want);
  EXPECT_EQ(want->pinned, (PinnedSum{"h1:abc", "ns-uid"}));
}

TEST(DecideWant, RefusesWhatNobodyDeclared) {
  EnvironmentRecord environment;
  environment.versions = {goenv::parse_version("1.22.3").value()};
  const VolumeSpec other = volume("1.21.6");
  const auto undeclared = decide_want({other, &environment, true, {}, kPlatform});
  ASSERT_FALSE(undeclared);
  EXPECT_THAT(undeclared.error().message, HasSubstr("team-a/ci does not declare go1.21.6"));
  const auto absent = decide_want({other, nullptr, true, {}, kPlatform});
  ASSERT_FALSE(absent);
  EXPECT_THAT(absent.error().message, HasSubstr("team-a has no GoBuildEnv ci"));
  EXPECT_THAT(decide_want({other, nullptr, false, {}, kPlatform}).error().message,
              HasSubstr("not seen"));
}

}  // namespace
}  // namespace gobuildenv::agent
