#include "agent/csi/recovery.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "crds/digest.hpp"
#include "tests/agent/csi/calls.hpp"

namespace gobuildenv::agent {
namespace {

using namespace gobuildenv::agent::testing;  // NOLINT(google-build-using-namespace)

constexpr const char* kGo = "toolchains/go1.22.3.linux-amd64/h1-abc/goroot";
constexpr const char* kLower = "caches/n/ci/mod/lower/3";

VolumeRecord record(const std::string& id, const std::string& uid,
                    const std::string& source = kGo) {
  VolumeRecord out;
  out.volume_id = id;
  out.pod.uid = uid;
  out.target = target_of(uid, "v-" + id);
  out.source = source;
  return out;
}

constexpr const char* kMountinfo =
    "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "30 22 0:25 / /proc rw - proc proc rw\n"
    "40 22 254:0 /srv/kube /var/lib/kubelet rw shared:2 - ext4 /dev/vda rw\n"
    "50 40 254:0 /data/gbe/toolchains/go1.22.3.linux-amd64/h1-abc/goroot "
    "/var/lib/kubelet/pods/u1/volumes/kubernetes.io~csi/gobuildenv-toolchain/mount ro,nosuid "
    "shared:2 master:3 - ext4 /dev/vda rw\n"
    "51 40 254:0 /data/gbe/pods/csi-7/upper "
    "/var/lib/kubelet/pods/u2/volumes/kubernetes.io~csi/cache/mount rw - ext4 /dev/vda rw\n"
    "52 40 0:44 / /var/lib/kubelet/pods/u2/volumes/kubernetes.io~csi/other/mount rw - tmpfs t rw\n"
    "53 40 254:0 /elsewhere /var/lib/kubelet/pods/u2/volumes/kubernetes.io~csi/x/mount rw - ext4 "
    "/dev/vda rw\n"
    "54 22 254:0 /data/gbe/pods /mnt/with\\040space rw - ext4 /dev/vda rw\n"
    "55 22 0:60 / /var/lib/kubelet/pods/u3/volumes/kubernetes.io~csi/cache/mount rw - overlay "
    "gobuildenv rw,lowerdir=/data/gbe/caches/n/ci/mod/lower/3,upperdir=/data/gbe/pods/csi-9/upper,"
    "workdir=/data/gbe/pods/csi-9/work,redirect_dir=nofollow\n"
    "56 22 0:61 / /var/lib/kubelet/pods/u3/volumes/kubernetes.io~csi/image/mount rw - overlay "
    "overlay rw,lowerdir=/var/lib/containers/1,upperdir=/var/lib/containers/2\n"
    "garbage\n"
    "\n";

TEST(MountTable, ReadsMountinfo) {
  const auto mounts = parse_mountinfo(kMountinfo);
  ASSERT_EQ(mounts.size(), 10U);
  EXPECT_EQ(mounts[0], (MountEntry{"254:0", "/", "/", "ext4", "rw"}));
  EXPECT_EQ(mounts[7].mount_point, "/mnt/with space");
}

TEST(MountTable, KnowsWhereAPathIsOnDisk) {
  const auto mounts = parse_mountinfo(kMountinfo);
  EXPECT_EQ(place_on_disk(mounts, "/data/gbe"), (PlaceOnDisk{"254:0", "/data/gbe"}));
  EXPECT_EQ(place_on_disk(mounts, "/var/lib/kubelet/pods"),
            (PlaceOnDisk{"254:0", "/srv/kube/pods"}));
  EXPECT_EQ(place_on_disk(mounts, "/var/lib/kubelet"), (PlaceOnDisk{"254:0", "/srv/kube"}));
  EXPECT_EQ(place_on_disk(mounts, "/var/lib/kubelets"),
            (PlaceOnDisk{"254:0", "/var/lib/kubelets"}));
  EXPECT_EQ(place_on_disk(mounts, "/"), (PlaceOnDisk{"254:0", "/"}));
  EXPECT_EQ(place_on_disk({}, "/"), std::nullopt);
}

TEST(MountTable, FindsOurVolumes) {
  const auto found = mounted_volumes(parse_mountinfo(kMountinfo), "/data/gbe", kPods);
  EXPECT_EQ(found, (std::vector<MountedVolume>{
                       {target_of("u1", "gobuildenv-toolchain"), kGo, {}},
                       {target_of("u2", "cache"), "pods/csi-7/upper", {}},
                       {target_of("u3", "cache"), "pods/csi-9/upper", kLower},
                   }));
}

TEST(MountTable, FindsThemThroughABindMountOfTheRoot) {
  const std::string text =
      std::string(kMountinfo) + "60 22 254:0 /data/gbe /var/lib/gobuildenv rw - ext4 /dev/vda rw\n";
  EXPECT_EQ(mounted_volumes(parse_mountinfo(text), "/var/lib/gobuildenv", kPods).size(), 2U);
}

TEST(VolumeRecords, KeepsNewerToolchainsAndRefusesWhatIsNone) {
  VolumeRecord record;
  record.volume_id = "csi-1";
  record.target = target_of("u1", "gobuildenv-toolchain");
  record.source = kGo;
  record.newer = {"toolchains/go1.25.3.linux-amd64/h1-x/goroot",
                  "toolchains/go1.24.0.linux-amd64/h1-y/goroot"};
  EXPECT_EQ(decode_volume_record(encode(record)).value(), record);
  EXPECT_EQ(record.units().size(), 3U);
  EXPECT_EQ(newer_name(record.newer[0]), "go1.25.3");
  for (const char* bad : {"toolchains/go1.25.3.linux-amd64/../../etc/goroot", "pods/x/goroot",
                          "toolchains/x/h1/goroot", ""}) {
    record.newer = {bad};
    EXPECT_FALSE(decode_volume_record(encode(record))) << bad;
  }
}

TEST(Recovery, AdoptsAMountWithWhatIsInsideIt) {
  const std::string newer = "toolchains/go1.25.3.linux-amd64/h1-x/goroot";
  const std::vector<MountedVolume> mounts = {{target_of("u1", "go"), kGo, {}, {newer, "pods/x"}}};
  const RecoveryPlan plan = plan_recovery({{}, mounts, {"u1"}, {}});
  ASSERT_EQ(plan.adopt.size(), 1U);
  EXPECT_EQ(plan.adopt[0].newer, std::vector<std::string>{newer});
}

TEST(Recovery, NamesInlineVolumesAsTheKubeletDoes) {
  EXPECT_EQ(inline_volume_id(target_of("uid-1", "vol")), "csi-" + crds::sha256_hex("uid-1vol"));
}

TEST(Recovery, KeepsWhatThePodMayStillUse) {
  const std::vector<VolumeRecord> records = {record("a", "u1"), record("b", "u2")};
  const std::vector<MountedVolume> mounts = {{records[0].target, kGo, {}}};
  // u1 is mounted though its folder is gone; u2 is not mounted but its pod is there.
  const RecoveryPlan plan = plan_recovery({records, mounts, {"u2"}, {"a", "b"}});
  EXPECT_TRUE(plan.forget.empty());
  EXPECT_TRUE(plan.adopt.empty());
  EXPECT_TRUE(plan.discard.empty());
}

TEST(Recovery, ForgetsVolumesOfPodsThatAreGone) {
  const std::vector<VolumeRecord> records = {record("a", "u1")};
  const RecoveryPlan plan = plan_recovery({records, {}, {}, {"a", "stray"}});
  EXPECT_EQ(plan.forget, std::vector<std::string>{"a"});
  EXPECT_EQ(plan.discard, std::vector<std::string>{"stray"});
}

TEST(Recovery, AdoptsMountsWhoseRecordIsLost) {
  const std::vector<MountedVolume> mounts = {
      {target_of("u1", "gobuildenv-toolchain"), kGo, {}},
      {target_of("u1", "cache"), "pods/csi-7/upper", kLower},
      {target_of("u1", "gone"), "toolchains/x/y/goroot//deleted", {}},
  };
  const RecoveryPlan plan = plan_recovery({{}, mounts, {"u1"}, {"csi-7", "csi-8"}});
  ASSERT_EQ(plan.adopt.size(), 2U);
  EXPECT_EQ(plan.adopt[0].volume_id, inline_volume_id(mounts[0].target));
  EXPECT_EQ(plan.adopt[0].toolchain, "1.22.3");
  EXPECT_EQ(plan.adopt[0].unit(), "toolchains/go1.22.3.linux-amd64/h1-abc");
  EXPECT_EQ(plan.adopt[1].volume_id, "csi-7");
  EXPECT_EQ(plan.adopt[1].cache, "caches/n/ci/mod");
  EXPECT_EQ(plan.adopt[1].unit(), kLower);
  EXPECT_EQ(plan.discard, std::vector<std::string>{"csi-8"});
}

TEST(VolumeRecord, SurvivesItsTextForm) {
  VolumeRecord one = record("csi-1", kUid);
  one.kind = VolumeKind::Build;
  one.pod = {"team-a", "build-1", kUid, "robot"};
  one.environment = "ci";
  one.revision = "0123456789";
  one.toolchain = "1.22.3";
  one.unavailable = "no \"proxy\"\nanswers";
  one.published_at = 1'700'000'000;
  one.boot_id = "5ad9c0a1-0f6f-4a55-9d0e-3a8f4f2b7c11";
  one.cache = "caches/0b1f/ci/build";
  one.lower = "caches/0b1f/ci/build/lower/12";
  const auto back = decode_volume_record(encode(one));
  ASSERT_TRUE(back) << back.error();
  EXPECT_EQ(*back, one);
}

TEST(VolumeRecord, RefusesPathsThatLeadElsewhere) {
  const VolumeRecord good = record("csi-1", kUid);
  const auto refused = [&](auto change) {
    VolumeRecord bad = good;
    change(bad);
    return !decode_volume_record(encode(bad));
  };
  EXPECT_TRUE(decode_volume_record(encode(good)));
  EXPECT_TRUE(refused([](auto& r) { r.target = "../../etc/mount"; }));
  EXPECT_TRUE(refused([](auto& r) { r.target = ""; }));
  EXPECT_TRUE(refused([](auto& r) { r.source = "/etc"; }));
  EXPECT_TRUE(refused([](auto& r) { r.source = "toolchains/../../etc"; }));
  EXPECT_TRUE(refused([](auto& r) { r.source = ""; }));
  EXPECT_TRUE(refused([](auto& r) { r.volume_id = "../x"; }));
  EXPECT_TRUE(refused([](auto& r) { r.cache = "caches/../../etc"; }));
  EXPECT_TRUE(refused([](auto& r) { r.cache = "caches/n/ci"; }));
  EXPECT_TRUE(refused([](auto& r) { r.lower = kLower; })) << "of no cache";
  for (const char* lower : {"caches/n/other/mod/lower/3", "caches/n/ci/mod/lower/x",
                            "caches/n/ci/mod/lower/", "caches/n/ci/mod/lower/../3", "/etc"}) {
    EXPECT_TRUE(refused([&](auto& r) {
      r.cache = "caches/n/ci/mod";
      r.lower = lower;
    })) << lower;
  }
  for (const char* text : {"", "{", "[]", "null", "{}", "{\"volume\":1}"}) {
    EXPECT_FALSE(decode_volume_record(text)) << text;
  }
}

/// Whatever subset of records, mounts and pods is left: nothing that is mounted is ever given up,
/// and what is counted afterwards covers every mount.
RC_GTEST_PROP(Recovery, EveryMountIsCountedAfterwards, ()) {
  std::vector<VolumeRecord> records;
  std::vector<MountedVolume> mounts;
  std::set<std::string> pods;
  for (int i = 0; i < 6; ++i) {
    const std::string uid = "u" + std::to_string(i);
    VolumeRecord one = record("", uid, *rc::gen::element<std::string>(kGo, "pods/x/upper"));
    one.volume_id = inline_volume_id(one.target);
    if (one.source != kGo) one.source = "pods/" + one.volume_id + "/upper";
    if (*rc::gen::arbitrary<bool>()) mounts.push_back({one.target, one.source, {}});
    if (*rc::gen::arbitrary<bool>()) pods.insert(uid);
    if (*rc::gen::arbitrary<bool>()) records.push_back(std::move(one));
  }
  std::set<std::string> parts;
  for (const MountedVolume& mount : mounts) parts.insert(inline_volume_id(mount.target));
  const RecoveryPlan plan = plan_recovery({records, mounts, pods, parts});

  std::map<std::string, VolumeRecord> after;
  for (const VolumeRecord& one : records) after[one.volume_id] = one;
  for (const std::string& id : plan.forget) after.erase(id);
  for (const VolumeRecord& one : plan.adopt) RC_ASSERT(after.emplace(one.volume_id, one).second);
  for (const MountedVolume& mount : mounts) {
    const std::string id = inline_volume_id(mount.target);
    RC_ASSERT(after.contains(id));
    RC_ASSERT(after[id].source == mount.source);
    RC_ASSERT(std::find(plan.discard.begin(), plan.discard.end(), id) == plan.discard.end());
  }
  for (const VolumeRecord& one : records) {
    const bool gone = !pods.contains(one.target.substr(0, one.target.find('/')));
    const bool mounted = std::any_of(mounts.begin(), mounts.end(),
                                     [&](const auto& m) { return m.target == one.target; });
    RC_ASSERT(after.contains(one.volume_id) == (mounted || !gone));
  }
}

}  // namespace
}  // namespace gobuildenv::agent
