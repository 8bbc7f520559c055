#include "agent/csi/volume_spec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/agent/csi/calls.hpp"

namespace gobuildenv::agent {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using namespace gobuildenv::agent::testing;  // NOLINT(google-build-using-namespace)

TEST(VolumeSpec, TakesWhatTheWebhookWrites) {
  const auto spec = parse_publish(toolchain_call(), kPods);
  ASSERT_TRUE(spec) << spec.error();
  EXPECT_EQ(spec->kind, VolumeKind::Toolchain);
  EXPECT_EQ(spec->pod, (PodIdentity{"team-a", "build-1", kUid, "default"}));
  EXPECT_EQ(spec->environment, "ci");
  EXPECT_EQ(goenv::to_string(spec->toolchain.value()), "1.22.3");
  EXPECT_EQ(spec->target, target_of(kUid, "gobuildenv-toolchain"));
  EXPECT_FALSE(spec->group);
}

TEST(VolumeSpec, TakesACacheWithAGroup) {
  PublishCall call = cache_call();
  call.mount_group = "2000";
  const auto spec = parse_publish(call, kPods);
  ASSERT_TRUE(spec) << spec.error();
  EXPECT_EQ(spec->kind, VolumeKind::Modules);
  EXPECT_EQ(spec->scope, goenv::CacheScope::Environment);
  EXPECT_EQ(spec->group, 2000U);
}

TEST(VolumeSpec, IgnoresAttributesOfANewerWebhook) {
  PublishCall call = toolchain_call();
  call.attributes["colour"] = "blue";
  EXPECT_TRUE(parse_publish(call, kPods));
}

struct Refused {
  const char* what;
  std::function<void(PublishCall&)> change;
  const char* field;
  const char* fix;
};

TEST(VolumeSpec, RefusesNamingFieldAndFix) {
  const auto set = [](const char* key, const char* value) {
    return [key, value](PublishCall& call) { call.attributes[key] = value; };
  };
  const auto target = [](std::string path) {
    return [path = std::move(path)](PublishCall& call) { call.target_path = path; };
  };
  const std::string pods = kPods;
  const std::string good = toolchain_call().target_path;
  const std::vector<Refused> cases = {
      {"no id", [](auto& c) { c.volume_id.clear(); }, "volume_id", "1 to 128"},
      {"id is a path", [](auto& c) { c.volume_id = "../x"; }, "volume_id", "letters"},
      {"id is hidden", [](auto& c) { c.volume_id = ".x"; }, "volume_id", "begins with"},
      {"id too long", [](auto& c) { c.volume_id = std::string(129, 'a'); }, "volume_id", "128"},
      {"no target", target(""), "target_path", "kubernetes.io~csi"},
      {"target elsewhere", target("/etc/shadow"), "target_path", "--kubelet-dir"},
      {"target beside the pods", target(pods + "x/" + target_of(kUid, "v")), "target_path", ""},
      {"target climbs", target(pods + "/../volumes/kubernetes.io~csi/v/mount"), "target_path", ""},
      {"volume climbs", target(pods + "/" + target_of(kUid, "..")), "target_path", ""},
      {"volume is a path", target(pods + "/" + target_of(kUid, "a/b")), "target_path", ""},
      {"not a mount", target(good + "s"), "target_path", "/mount"},
      {"parts overlap", target(pods + "/u/volumes/kubernetes.io~csi/mount"), "target_path", ""},
      {"another pod's", target(pods + "/" + target_of("other", "v")), "target_path", "pod.uid"},
      {"block", [](auto& c) { c.mount_capability = false; }, "volume_capability", "volumeMounts"},
      {"fsType", [](auto& c) { c.fs_type = "ext4"; }, "fsType", "leave"},
      {"flags", [](auto& c) { c.mount_flags = {"exec"}; }, "mount_flags", "none"},
      {"group", [](auto& c) { c.mount_group = "-1"; }, "volume_mount_group", "number"},
      {"group too large", [](auto& c) { c.mount_group = "4294967295"; }, "volume_mount_group", ""},
      {"persistent", set("csi.storage.k8s.io/ephemeral", "false"), "ephemeral", "inline"},
      {"no uid", set("csi.storage.k8s.io/pod.uid", ""), "pod.uid", "podInfoOnMount"},
      {"bad namespace", set("csi.storage.k8s.io/pod.namespace", "A.b"), "pod.namespace", ""},
      {"bad name", set("csi.storage.k8s.io/pod.name", "a b"), "pod.name", ""},
      {"bad account", set("csi.storage.k8s.io/serviceAccount.name", "/"), "serviceAccount", ""},
      {"no kind", set("kind", ""), "volumeAttributes.kind", "toolchain"},
      {"unknown kind", set("kind", "Toolchain"), "volumeAttributes.kind", "modules"},
      {"no environment", set("environment", ""), "volumeAttributes.environment", "GoBuildEnv"},
      {"environment", set("environment", "../x"), "volumeAttributes.environment", ""},
      {"revision", set("revision", "a/b"), "volumeAttributes.revision", "leave it out"},
      {"scope", set("scope", "Cluster"), "volumeAttributes.scope", "Pod, Environment or"},
      {"no version", set("toolchain", ""), "volumeAttributes.toolchain", "1.22.3"},
      {"with go", set("toolchain", "go1.22.3"), "volumeAttributes.toolchain", "\"1.22.3\""},
      {"a range", set("toolchain", "1.22"), "volumeAttributes.toolchain", "1.22.0"},
      {"too old", set("toolchain", "1.17.1"), "volumeAttributes.toolchain", "1.18"},
      {"a path", set("toolchain", "1.22.3/../.."), "volumeAttributes.toolchain", ""},
  };
  for (const Refused& one : cases) {
    PublishCall call = toolchain_call();
    one.change(call);
    const auto spec = parse_publish(call, kPods);
    ASSERT_FALSE(spec) << one.what;
    EXPECT_THAT(spec.error(), AllOf(HasSubstr(one.field), HasSubstr(one.fix))) << one.what;
  }
}

TEST(VolumeSpec, ShowsHostileValuesShortAndPrintable) {
  PublishCall call = toolchain_call();
  call.attributes["kind"] = "\x1b[31m\"\n\xff" + std::string(500, 'x');
  const auto spec = parse_publish(call, kPods);
  ASSERT_FALSE(spec);
  EXPECT_LT(spec.error().size(), 250U);
  EXPECT_EQ(spec.error().find_first_of("\x1b\n\xff"), std::string::npos);
}

}  // namespace
}  // namespace gobuildenv::agent
