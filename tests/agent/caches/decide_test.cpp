#include "agent/caches/decide.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace gobuildenv::agent {
namespace {

using goenv::CacheScope;
using Kind = CacheAnswer::Kind;

constexpr const char* kUid = "7c1d9a52-1c2a-4d6e-9d0a-0f5a6d0b6a11";

VolumeSpec volume(VolumeKind kind, CacheScope asked) {
  VolumeSpec spec;
  spec.volume_id = "csi-1";
  spec.kind = kind;
  spec.scope = asked;
  spec.pod = {"team-a", "build-1", "uid-1", "builder"};
  spec.environment = "ci";
  return spec;
}

goenv::Cache declares(CacheScope modules, CacheScope build) {
  goenv::Cache out;
  out.modules = modules;
  out.build = build;
  out.trusted_service_accounts = {"releaser", "builder"};
  return out;
}

struct ScopeCase {
  CacheScope asked;
  CacheScope declared;
  const char* owner;  ///< empty: the pod's own
};

class Scopes : public ::testing::TestWithParam<ScopeCase> {};

/// A volume's attributes are a pod author's to choose: they can narrow, never widen.
TEST_P(Scopes, TheNarrowerOneHolds) {
  const auto& [asked, declared, owner] = GetParam();
  const VolumeSpec spec = volume(VolumeKind::Modules, asked);
  const CacheAnswer answer = decide_cache({spec, declares(declared, CacheScope::Pod), kUid});
  if (std::string(owner).empty()) {
    EXPECT_EQ(answer.kind, Kind::Own);
    EXPECT_EQ(answer.cache, "");
  } else {
    EXPECT_EQ(answer.kind, Kind::Shared);
    EXPECT_EQ(answer.cache, std::string("caches/") + kUid + "/" + owner + "/mod");
    EXPECT_TRUE(is_cache(answer.cache));
    EXPECT_EQ(namespace_uid_of(answer.cache), kUid);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Scopes,
    ::testing::Values(ScopeCase{CacheScope::Pod, CacheScope::Pod, ""},
                      ScopeCase{CacheScope::Pod, CacheScope::Namespace, ""},
                      ScopeCase{CacheScope::Environment, CacheScope::Pod, ""},
                      ScopeCase{CacheScope::Namespace, CacheScope::Pod, ""},
                      ScopeCase{CacheScope::Environment, CacheScope::Environment, "ci"},
                      ScopeCase{CacheScope::Namespace, CacheScope::Environment, "ci"},
                      ScopeCase{CacheScope::Environment, CacheScope::Namespace, "ci"},
                      ScopeCase{CacheScope::Namespace, CacheScope::Namespace, "_namespace"}));

TEST(DecideCache, KindsHaveScopesOfTheirOwn) {
  const goenv::Cache declared = declares(CacheScope::Pod, CacheScope::Namespace);
  const VolumeSpec modules = volume(VolumeKind::Modules, CacheScope::Namespace);
  const VolumeSpec build = volume(VolumeKind::Build, CacheScope::Namespace);
  const VolumeSpec toolchain = volume(VolumeKind::Toolchain, CacheScope::Namespace);
  EXPECT_EQ(decide_cache({modules, declared, kUid}).kind, Kind::Own);
  EXPECT_EQ(decide_cache({build, declared, kUid}).cache,
            std::string("caches/") + kUid + "/_namespace/build");
  EXPECT_EQ(decide_cache({toolchain, declared, kUid}).kind, Kind::Own);
}

TEST(DecideCache, SaysWhyNothingIsShared) {
  const VolumeSpec spec = volume(VolumeKind::Modules, CacheScope::Environment);
  const goenv::Cache declared = declares(CacheScope::Environment, CacheScope::Pod);
  EXPECT_EQ(decide_cache({spec, std::nullopt, kUid}).why, "namespace team-a has no GoBuildEnv ci");
  EXPECT_EQ(decide_cache({spec, declares(CacheScope::Pod, CacheScope::Pod), kUid}).why,
            "GoBuildEnv team-a/ci declares scope Pod for it");
  const CacheAnswer unknown = decide_cache({spec, declared, ""});
  EXPECT_EQ(unknown.kind, Kind::Unknown);
  EXPECT_EQ(unknown.why, "the uid of namespace team-a is not known yet");
  // It becomes a folder's name.
  for (const char* uid : {"..", "a/b", "a b", "."}) {
    EXPECT_EQ(decide_cache({spec, declared, uid}).kind, Kind::Unknown) << uid;
  }
}

VolumeRecord record(const char* owner, const char* account = "builder") {
  VolumeRecord out;
  out.volume_id = "csi-1";
  out.kind = VolumeKind::Modules;
  out.pod = {"team-a", "build-1", "uid-1", account};
  out.environment = "ci";
  out.cache = std::string("caches/") + kUid + "/" + owner + "/mod";
  return out;
}

TEST(WhyNotPromote, OnlyTrustedAccountsAsOfNow) {
  const goenv::Cache now = declares(CacheScope::Environment, CacheScope::Pod);
  EXPECT_EQ(why_not_promote(record("ci"), now), "");
  EXPECT_EQ(why_not_promote(record("ci", "default"), now),
            "service account \"default\" is not in spec.cache.trustedServiceAccounts of "
            "GoBuildEnv team-a/ci");
  EXPECT_NE(why_not_promote(record("ci", ""), now), "");
  goenv::Cache taken_back = now;
  taken_back.trusted_service_accounts = {};
  EXPECT_NE(why_not_promote(record("ci"), taken_back), "");
  // An empty name in the list is nobody's.
  taken_back.trusted_service_accounts = {""};
  EXPECT_NE(why_not_promote(record("ci", ""), taken_back), "");
  EXPECT_NE(why_not_promote(record("ci"), std::nullopt), "");
}

TEST(WhyNotPromote, OnlyWhatIsStillShared) {
  const goenv::Cache whole = declares(CacheScope::Namespace, CacheScope::Pod);
  const goenv::Cache own = declares(CacheScope::Environment, CacheScope::Pod);
  EXPECT_EQ(why_not_promote(record("_namespace"), whole), "");
  EXPECT_EQ(why_not_promote(record("ci"), whole), "");
  EXPECT_NE(why_not_promote(record("_namespace"), own), "") << "the scope was made narrower";
  EXPECT_NE(why_not_promote(record("ci"), declares(CacheScope::Pod, CacheScope::Namespace)), "");
  EXPECT_NE(why_not_promote(record("other"), own), "") << "another environment's";
  VolumeRecord none = record("ci");
  none.cache.clear();
  EXPECT_NE(why_not_promote(none, own), "");
}

}  // namespace
}  // namespace gobuildenv::agent
