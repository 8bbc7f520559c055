#include "agent/node/collection_roots.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

namespace gobuildenv::agent {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const NodePlatform kPlatform{"linux", "amd64"};

NamedEnvironment environment(const std::string& ns, const std::string& name,
                             std::vector<std::string> versions,
                             std::optional<collector::Retention> retention = {}) {
  auto record = std::make_shared<EnvironmentRecord>();
  for (const auto& one : versions) record->versions.push_back(goenv::parse_version(one).value());
  record->retention = retention;
  return {{{ns, name}, ns + "-" + name, "1"}, std::move(record)};
}

std::string pod_json(const std::string& volumes, const std::string& status) {
  return R"({"kind":"Pod","metadata":{"name":"build-7","namespace":"ci","uid":"pod-uid",)"
         R"("resourceVersion":"3"},"spec":{"containers":[{"name":"a","image":"i"}],"volumes":[)" +
         volumes + R"(]},"status":)" + status + "}";
}

std::string csi(const std::string& attributes, const std::string& driver = "gobuildenv.dev") {
  return R"({"name":"v","csi":{"driver":")" + driver + R"(","readOnly":true,"volumeAttributes":{)" +
         attributes + "}}}";
}

const std::string kToolchain =
    csi(R"("kind":"toolchain","environment":"go122","revision":"0123456789","toolchain":"1.22.3")");
const std::string kModules =
    csi(R"("kind":"modules","environment":"go122","toolchain":"1.22.3","scope":"Environment")");
const std::string kBuild = csi(R"("kind":"build","environment":"go122","scope":"Namespace")");
const std::string kOwn = csi(R"("kind":"build","environment":"go122","scope":"Pod")");

PodRecord pod(const std::string& volumes, const std::string& status = R"({"phase":"Pending"})") {
  const auto decoded = decode_pod(pod_json(volumes, status));
  EXPECT_TRUE(decoded) << decoded.error();
  return decoded ? *decoded->value : PodRecord();
}

VolumeRecord record(VolumeKind kind, const std::string& source, std::int64_t published = 1000) {
  VolumeRecord out;
  out.volume_id = "csi-1";
  out.kind = kind;
  out.pod = {"ci", "build-7", "pod-uid", ""};
  out.source = source;
  out.published_at = published;
  return out;
}

std::vector<std::string> paths(const std::vector<collector::Root>& roots) {
  std::vector<std::string> out;
  for (const auto& root : roots) out.push_back(root.path);
  return out;
}

TEST(PodRecord, KeepsOurVolumesAndNothingElse) {
  const PodRecord seen =
      pod(R"({"name":"t","emptyDir":{}},)" + kToolchain + "," +
          csi(R"("kind":"toolchain")", "other.driver") + "," + csi(R"("kind":"from the future")") +
          "," + R"({"name":"d","csi":{"driver":"gobuildenv.dev"}},)" + kBuild);
  EXPECT_EQ(seen.ns + "/" + seen.name + "/" + seen.uid, "ci/build-7/pod-uid");
  EXPECT_FALSE(seen.finished);
  ASSERT_EQ(seen.volumes.size(), 2U);
  EXPECT_EQ(seen.volumes[0].toolchain, "1.22.3");
  EXPECT_EQ(seen.volumes[0].environment, "go122");
  EXPECT_EQ(seen.volumes[1].kind, VolumeKind::Build);
  EXPECT_EQ(seen.volumes[1].scope, goenv::CacheScope::Namespace);
}

TEST(PodRecord, KnowsWhatIsOver) {
  for (const char* phase : {"Succeeded", "Failed"}) {
    EXPECT_TRUE(pod(kToolchain, std::string(R"({"phase":")") + phase + R"("})").finished);
  }
  for (const char* status : {R"({"phase":"Running"})", R"({"phase":"Unknown"})", "{}"}) {
    EXPECT_FALSE(pod(kToolchain, status).finished) << status;
  }
}

TEST(PodRecord, KnowsTheKubeletsFolder) {
  EXPECT_EQ(pod(kToolchain).folder, "pod-uid");
  const auto mirror = decode_pod(
      R"({"metadata":{"name":"etcd","namespace":"kube-system","uid":"u","resourceVersion":"1",)"
      R"("annotations":{"a":"b","kubernetes.io/config.mirror":"0123abc"}},"spec":{}})");
  ASSERT_TRUE(mirror) << mirror.error();
  EXPECT_EQ(mirror->value->uid, "u");
  EXPECT_EQ(mirror->value->folder, "0123abc");
}

TEST(PodRecord, RefusesWhatIsNoPod) {
  for (const std::string& text : {std::string("{"), std::string("[]"), pod_json("7", "{}"),
                                  pod_json(kToolchain, "7"), pod_json(csi(R"("kind":)"), "{}")}) {
    EXPECT_FALSE(decode_pod(text)) << text;
  }
}

TEST(EnvironmentRoots, EveryReleaseThatIsDeclaredOrKept) {
  const std::vector<NamedEnvironment> all{environment("ci", "b", {"1.22.3", "1.21.6"}),
                                          environment("ci", "a", {"1.22.3"})};
  const auto roots = environment_roots(all, kPlatform);
  EXPECT_THAT(paths(roots),
              ElementsAre("toolchains/go1.21.6.linux-amd64", "toolchains/go1.22.3.linux-amd64"));
  EXPECT_EQ(roots[0].why, "GoBuildEnv ci/b may ask for it");
  EXPECT_EQ(roots[1].why, "GoBuildEnv ci/a and 1 more may ask for it");
  EXPECT_THAT(environment_roots({}, kPlatform), IsEmpty());
}

TEST(PodRoots, WhatIsNotMountedYet) {
  const PodRecord waiting = pod(kToolchain + "," + kModules + "," + kBuild);
  EXPECT_THAT(paths(pod_roots(waiting, {}, "ns-uid", kPlatform)),
              ElementsAre("toolchains/go1.22.3.linux-amd64", "caches/ns-uid/go122/mod",
                          "caches/ns-uid/_namespace/build"));
  // Nobody has made caches for a namespace whose uid nobody knows.
  EXPECT_THAT(paths(pod_roots(waiting, {}, "", kPlatform)),
              ElementsAre("toolchains/go1.22.3.linux-amd64"));
  // What is mounted has a record, which names one generation and not all that may come.
  std::vector<VolumeRecord> mounted{
      record(VolumeKind::Toolchain, "toolchains/go1.22.3.linux-amd64/h1-x/goroot"),
      record(VolumeKind::Modules, "pods/csi-1/upper")};
  mounted[1].lower = "caches/ns-uid/go122/mod/lower/3";
  EXPECT_THAT(paths(pod_roots(waiting, mounted, "ns-uid", kPlatform)),
              ElementsAre("caches/ns-uid/_namespace/build"));
  EXPECT_THAT(paths(volume_roots(mounted)),
              ElementsAre("toolchains/go1.22.3.linux-amd64/h1-x/goroot",
                          "caches/ns-uid/go122/mod/lower/3", "pods/csi-1/upper"));
  // Another pod's record is none of this one's.
  PodRecord other = waiting;
  other.uid = "other";
  EXPECT_EQ(pod_roots(other, mounted, "ns-uid", kPlatform).size(), 3U);
}

TEST(PodRoots, NothingForPodsThatAreOverAndForTheirOwnCaches) {
  EXPECT_THAT(pod_roots(pod(kToolchain, R"({"phase":"Failed"})"), {}, "ns-uid", kPlatform),
              IsEmpty());
  EXPECT_THAT(pod_roots(pod(kOwn), {}, "ns-uid", kPlatform), IsEmpty());
  EXPECT_THAT(pod_roots(pod(csi(R"("kind":"toolchain","environment":"e","toolchain":"1.22")")), {},
                        "ns-uid", kPlatform),
              IsEmpty());
}

TEST(CollectionLimits, OfEnvironmentsAndWhatTheirNamespaceShares) {
  const std::vector<NamedEnvironment> all{
      environment("ci", "a", {}, collector::Retention{hours(1), 5}),
      environment("ci", "b", {}, collector::Retention{hours(2), 3}), environment("ci", "none", {}),
      environment("lost", "a", {}, collector::Retention{hours(9), 9})};
  collector::Limits node;
  node.high_percent = 60;
  const auto limits = limits_of(node, all, [](const NamedEnvironment& one) {
    return one.meta.key.ns == "ci" ? "u-1" : std::string();
  });
  EXPECT_EQ(limits.high_percent, 60U);
  EXPECT_EQ(limits.environments.size(), 3U);
  EXPECT_EQ(limits.of("u-1/a").unused_for, hours(1));
  EXPECT_EQ(limits.of("u-1/b").max_bytes, 3U);
  EXPECT_EQ(limits.of("u-1/_namespace").unused_for, hours(2));
  EXPECT_EQ(limits.of("u-1/_namespace").max_bytes, 5U);
  EXPECT_EQ(limits.of("u-1/none").unused_for, node.node.unused_for);
}

TEST(CollectionLimits, CachesAreNobodysOnlyWhenEveryOwnerIsKnown) {
  const std::vector<NamedEnvironment> all{
      environment("ci", "a", {}, collector::Retention{hours(1), 5}), environment("ci", "none", {})};
  const auto known = limits_of({}, all, [](const auto&) { return std::string("u-1"); });
  EXPECT_FALSE(known.orphaned("u-1/a"));
  EXPECT_FALSE(known.orphaned("u-1/_namespace"));
  EXPECT_TRUE(known.orphaned("u-1/none"));
  EXPECT_TRUE(known.orphaned("u-0/a"));
  const auto unknown = limits_of({}, all, [](const auto&) { return std::string(); });
  EXPECT_FALSE(unknown.orphaned("u-0/a"));
  EXPECT_FALSE(collector::Limits().orphaned("u-0/a"));
}

TEST(LongestBuild, IsBoundedAndSurvivesAClockThatIsSetBack) {
  const auto at = [](std::int64_t now) {
    return std::chrono::system_clock::time_point(seconds(now));
  };
  const std::vector<VolumeRecord> records{record(VolumeKind::Build, "pods/a", 1000),
                                          record(VolumeKind::Build, "pods/b", 4000)};
  EXPECT_EQ(longest_build({}, at(5000)), seconds(0));
  EXPECT_EQ(longest_build(records, at(5000)), seconds(4000));
  EXPECT_EQ(longest_build(records, at(5000 + 86'400 * 365)), hours(24));
  // A year back: how long it runs cannot be known, so it counts as long.
  EXPECT_EQ(longest_build(records, at(1000 - 86'400 * 365)), hours(24));
}

}  // namespace
}  // namespace gobuildenv::agent
