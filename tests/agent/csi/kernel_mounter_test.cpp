#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "agent/csi/mount_table.hpp"
#include "agent/csi/mounter.hpp"
#include "agent/csi/recover_volumes.hpp"
#include "agent/csi/volume_service.hpp"
#include "tests/agent/csi/calls.hpp"
#include "tests/agent/csi/fakes.hpp"
#include "tests/agent/temp_folder.hpp"

/// Real mounts, in a mount namespace of the test's own.
namespace gobuildenv::agent {
namespace {

namespace fs = std::filesystem;
using namespace gobuildenv::agent::testing;  // NOLINT(google-build-using-namespace)

constexpr const char* kGoroot = "toolchains/go1.22.3.linux-amd64/h1-abc/goroot";
constexpr const char* kLower = "caches/n/ci/mod/lower/1";
constexpr const char* kUnit = "toolchains/go1.22.3.linux-amd64/h1-abc";

/// Once a process: all mounts of these tests vanish with it.
bool own_mounts() {
  static const bool have =
      ::unshare(CLONE_NEWNS) == 0 && ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  return have;
}

class KernelMounterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!own_mounts()) GTEST_SKIP() << "needs root and mount namespaces";
    // The kubelet's folder is shared with containers on a real node.
    ASSERT_EQ(::mount(top_.path().c_str(), top_.path().c_str(), nullptr, MS_BIND, nullptr), 0);
    ASSERT_EQ(::mount("", top_.path().c_str(), nullptr, MS_SHARED, nullptr), 0);
    fs::create_directories(root());
    fs::create_directories(pods());
    write_file(root() + "/" + kGoroot + "/bin/go", "#!/bin/true\n");
    write_file(root() + "/pods/csi-2/upper/there", "x");
    mounter_ = make_kernel_mounter(root(), pods());
  }
  void TearDown() override {
    while (::umount2(top_.path().c_str(), MNT_DETACH) == 0) {
    }
  }

  std::string root() { return top_.path("root"); }
  std::string pods() { return top_.path("pods"); }
  /// A place as the kubelet prepares it.
  std::string place(const std::string& uid, const std::string& volume) {
    const std::string target = target_of(uid, volume);
    fs::create_directories(fs::path(pods() + "/" + target).parent_path());
    return target;
  }

  TempFolder top_;
  std::unique_ptr<Mounter> mounter_;
};

TEST_F(KernelMounterTest, MountsReadOnly) {
  const std::string target = place("u1", "go");
  EXPECT_FALSE(mounter_->is_mounted(target).value());
  ASSERT_TRUE(mounter_->bind(kGoroot, target, true));
  EXPECT_TRUE(mounter_->is_mounted(target).value());
  EXPECT_TRUE(fs::exists(pods() + "/" + target + "/bin/go"));
  EXPECT_LT(::open((pods() + "/" + target + "/new").c_str(), O_CREAT | O_WRONLY, 0600), 0);
  EXPECT_EQ(errno, EROFS);
  // The store itself stays writable for the agent.
  write_file(root() + "/" + kGoroot + "/later", "x");
  EXPECT_TRUE(fs::exists(pods() + "/" + target + "/later"));
  ASSERT_TRUE(mounter_->unmount(target));
  EXPECT_FALSE(fs::exists(pods() + "/" + target));
  EXPECT_TRUE(fs::exists(root() + "/" + kGoroot + "/bin/go"));
  ASSERT_TRUE(mounter_->unmount(target)) << "again";
}

TEST_F(KernelMounterTest, MountsANewerToolchainInsideTheDeclaredOne) {
  constexpr const char* kNewer = "toolchains/go1.25.3.linux-amd64/h1-def/goroot";
  write_file(root() + "/" + kNewer + "/bin/go", "newer");
  ASSERT_EQ(::chmod((root() + "/" + kGoroot).c_str(), 0555), 0);
  const std::string target = place("u1", "go");
  ASSERT_TRUE(mounter_->bind(kGoroot, target, true));
  for (int again = 0; again < 2; ++again) {
    ASSERT_TRUE(mounter_->bind_inside(kNewer, kGoroot, target, ".newer/go1.25.3"));
  }
  const std::string inside = pods() + "/" + target + "/.newer/go1.25.3";
  EXPECT_EQ(read_file(inside + "/bin/go"), "newer");
  EXPECT_LT(::open((inside + "/new").c_str(), O_CREAT | O_WRONLY, 0600), 0);
  EXPECT_EQ(errno, EROFS);
  EXPECT_TRUE(fs::is_empty(root() + "/" + kGoroot + "/.newer/go1.25.3"))
      << "the store is as it was";
  // A record that was lost is made again with both.
  EXPECT_EQ(mounted_volumes(parse_mountinfo(read_file("/proc/self/mountinfo")), root(), pods()),
            (std::vector<MountedVolume>{{target, kGoroot, {}, {kNewer}}}));
  const auto missing = mounter_->bind_inside("toolchains/none", kGoroot, target, ".newer/go1.26.0");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, MountError::Kind::SourceMissing);

  const int busy = ::open((inside + "/bin/go").c_str(), O_RDONLY);
  EXPECT_EQ(mounter_->unmount(target).error().kind, MountError::Kind::Busy);
  ::close(busy);
  ASSERT_TRUE(mounter_->unmount(target));
  EXPECT_FALSE(fs::exists(pods() + "/" + target));
  EXPECT_EQ(read_file(root() + "/" + kNewer + "/bin/go"), "newer");
}

TEST_F(KernelMounterTest, WhatAPodCallsNewerIsNotLookedAt) {
  const std::string target = place("u1", "cache");
  ASSERT_TRUE(mounter_->bind("pods/csi-2/upper", target, false));
  const std::string other = place("u2", "go");
  ASSERT_TRUE(mounter_->bind(kGoroot, other, true));
  fs::create_directory_symlink(fs::path(pods() + "/" + other).parent_path(),
                               pods() + "/" + target + "/.newer");
  ASSERT_TRUE(mounter_->unmount(target));
  EXPECT_TRUE(mounter_->is_mounted(other).value());
  ASSERT_TRUE(mounter_->unmount(other));
}

TEST_F(KernelMounterTest, MountsWritableWithoutDevicesAndSetuid) {
  const std::string target = place("u1", "cache");
  ASSERT_TRUE(mounter_->bind("pods/csi-2/upper", target, false));
  write_file(pods() + "/" + target + "/new", "x");
  EXPECT_EQ(read_file(root() + "/pods/csi-2/upper/new"), "x");
  const std::string device = pods() + "/" + target + "/null";
  if (::mknod(device.c_str(), S_IFCHR | 0666, makedev(1, 3)) == 0) {
    EXPECT_LT(::open(device.c_str(), O_RDONLY), 0);
    EXPECT_EQ(errno, EACCES);
  }
  const std::string text = read_file("/proc/self/mountinfo");
  const auto at = text.find("kubernetes.io~csi/cache/mount ");
  ASSERT_NE(at, std::string::npos);
  const std::string options = text.substr(at, text.find('\n', at) - at);
  EXPECT_NE(options.find("nosuid"), std::string::npos) << options;
  EXPECT_NE(options.find("nodev"), std::string::npos) << options;
  ASSERT_TRUE(mounter_->unmount(target));
}

/// Runs `act` as a user who owns nothing; gives what it gives.
int as_a_stranger(const std::function<int()>& act) {
  const pid_t child = ::fork();
  if (child == 0) {
    const bool other = ::setgroups(0, nullptr) == 0 && ::setgid(12345) == 0 && ::setuid(12345) == 0;
    ::umask(0077);
    ::_exit(other ? act() : 99);
  }
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

bool overwrite(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  const bool done = fd >= 0 && ::write(fd, "evil", 4) == 4;
  if (fd >= 0) ::close(fd);
  return done;
}

/// What pods do to a layer stays in their own folder, whoever they run as.
TEST_F(KernelMounterTest, AnOverlayKeepsItsLayerAsItIs) {
  const std::string lower = root() + "/" + kLower;
  write_file(lower + "/cache/a.zip", "zip");
  write_file(lower + "/cache/gone", "here");
  write_file(lower + "/m@v1/a.go", "package a");
  for (const char* folder : {"", "/cache"}) ASSERT_EQ(::chmod((lower + folder).c_str(), 0777), 0);
  for (const char* file : {"/cache/a.zip", "/cache/gone"}) {
    ASSERT_EQ(::chmod((lower + file).c_str(), 0666), 0);
  }
  ASSERT_EQ(::chmod((lower + "/m@v1/a.go").c_str(), 0444), 0);
  ASSERT_EQ(::chmod((lower + "/m@v1").c_str(), 0555), 0);
  ASSERT_EQ(::chmod((root() + "/pods/csi-2/upper").c_str(), 0777), 0);
  fs::create_directories(root() + "/pods/csi-2/work");
  const std::string target = place("u1", "cache");
  const auto mounted = mounter_->overlay({kLower, "pods/csi-2/upper", "pods/csi-2/work"}, target);
  ASSERT_TRUE(mounted) << mounted.error().message;
  const std::string at = pods() + "/" + target;
  fs::permissions(top_.path(), fs::perms(0755));
  for (fs::path up = at; up != fs::path(top_.path()); up = up.parent_path()) {
    if (up != fs::path(at)) fs::permissions(up, fs::perms(0755));
  }

  EXPECT_EQ(
      as_a_stranger([&] {
        if (read_file(at + "/m@v1/a.go") != "package a") return 1;
        if (!overwrite(at + "/cache/a.zip")) return 2;  // go opens so what it writes again
        if (!overwrite(at + "/cache/a.lock")) return 3;
        if (::mkdir((at + "/n@v1").c_str(), 0777) != 0) return 4;
        if (::unlink((at + "/cache/gone").c_str()) != 0) return 5;
        if (overwrite(at + "/m@v1/a.go") || overwrite(at + "/m@v1/b.go")) return 6;
        if (::symlink("/etc", (at + "/link").c_str()) != 0) return 7;
        if (::setxattr((at + "/cache/a.zip").c_str(), "trusted.overlay.redirect", "/", 1, 0) == 0) {
          return 8;
        }
        return 0;
      }),
      0);
  // Not even root of a pod names other files of the layer, or makes a device that works.
  const char* redirect = "trusted.overlay.redirect";
  static_cast<void>(::setxattr((at + "/n@v1").c_str(), redirect, "/cache", 6, 0));
  const std::string made = root() + "/pods/csi-2/upper/n@v1";
  EXPECT_LT(::getxattr(made.c_str(), redirect, nullptr, 0), 0) << "refused, or under another name";
  const std::string device = at + "/null";
  if (::mknod(device.c_str(), S_IFCHR | 0666, makedev(1, 3)) == 0) {
    EXPECT_LT(::open(device.c_str(), O_RDONLY), 0);
  }
  EXPECT_EQ(read_file(at + "/cache/a.zip"), "evil");
  EXPECT_EQ(read_file(lower + "/cache/a.zip"), "zip");
  EXPECT_EQ(read_file(lower + "/cache/gone"), "here");
  EXPECT_FALSE(fs::exists(lower + "/cache/a.lock"));
  EXPECT_FALSE(fs::exists(lower + "/link"));

  const auto found =
      mounted_volumes(parse_mountinfo(read_file("/proc/self/mountinfo")), root(), pods());
  EXPECT_EQ(found, (std::vector<MountedVolume>{{target, "pods/csi-2/upper", kLower}}));
  ASSERT_TRUE(mounter_->unmount(target));
  EXPECT_FALSE(fs::exists(at));
}

/// A user namespace that maps its root to another user, as a runtime makes one for `hostUsers:
/// false`; below 0: none can be made.
int user_namespace() {
  std::array<int, 2> ready{};
  if (::pipe(ready.data()) != 0) return -1;
  const pid_t child = ::fork();
  if (child == 0) {
    const char done = ::unshare(CLONE_NEWUSER) == 0 ? 'y' : 'n';
    static_cast<void>(::write(ready[1], &done, 1));
    ::pause();
    ::_exit(0);
  }
  char done = 'n';
  static_cast<void>(::read(ready[0], &done, 1));
  int found = -1;
  const std::string process = "/proc/" + std::to_string(child);
  if (done == 'y') {
    write_file(process + "/uid_map", "0 100000 65536");
    write_file(process + "/gid_map", "0 100000 65536");
    found = ::open((process + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC);
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (const int end : ready) ::close(end);
  return found;
}

/// What a runtime does with each volume of such a pod; 0 or errno.
int map_users(const std::string& volume, int users) {
  const int copy = ::open_tree(AT_FDCWD, volume.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (copy < 0) return errno;
  struct mount_attr attributes {};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<__u64>(users);
  const int error =
      ::mount_setattr(copy, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) == 0 ? 0 : errno;
  ::close(copy);
  return error;
}

/// Why the webhook gives pods with `hostUsers: false` toolchains but no shared caches.
TEST_F(KernelMounterTest, UsersOfAToolchainCanBeMappedThoseOfAnOverlayCannot) {
  const int users = user_namespace();
  if (users < 0) GTEST_SKIP() << "needs user namespaces";
  const int own = map_users(root(), users);
  if (own != 0) GTEST_SKIP() << "the file system of temporary files cannot map users: " << own;
  const std::string toolchain = place("u1", "go");
  ASSERT_TRUE(mounter_->bind(kGoroot, toolchain, true));
  EXPECT_EQ(map_users(pods() + "/" + toolchain, users), 0);
  write_file(root() + "/" + kLower + "/a", "a");
  fs::create_directories(root() + "/pods/csi-2/work");
  const std::string cache = place("u1", "cache");
  ASSERT_TRUE(mounter_->overlay({kLower, "pods/csi-2/upper", "pods/csi-2/work"}, cache));
  EXPECT_EQ(map_users(pods() + "/" + cache, users), EINVAL);
  ::close(users);
}

TEST_F(KernelMounterTest, AnOverlayOfWhatIsGone) {
  const std::string target = place("u1", "cache");
  fs::create_directories(root() + "/pods/csi-2/work");
  const OverlayLayers layers{kLower, "pods/csi-2/upper", "pods/csi-2/work"};
  EXPECT_EQ(mounter_->overlay(layers, target).error().kind, MountError::Kind::SourceMissing);
  EXPECT_FALSE(mounter_->is_mounted(target).value());
  fs::create_directories(root() + "/" + kLower);
  EXPECT_EQ(mounter_->overlay(layers, target_of("u9", "cache")).error().kind,
            MountError::Kind::PodMissing);
  const std::string odd = top_.path("odd,root");
  fs::create_directories(odd);
  const auto refused = make_kernel_mounter(odd, pods())->overlay(layers, target);
  EXPECT_EQ(refused.error().kind, MountError::Kind::Other);
  EXPECT_NE(refused.error().message.find("--root"), std::string::npos);
}

TEST_F(KernelMounterTest, UnmountsHoweverManyAreThere) {
  const std::string target = place("u1", "go");
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(mounter_->bind(kGoroot, target, true));
  ASSERT_TRUE(mounter_->unmount(target));
  EXPECT_FALSE(fs::exists(pods() + "/" + target));
}

TEST_F(KernelMounterTest, SaysWhatIsMissing) {
  const std::string target = place("u1", "go");
  EXPECT_EQ(mounter_->bind("toolchains/none/goroot", target, true).error().kind,
            MountError::Kind::SourceMissing);
  EXPECT_FALSE(fs::exists(pods() + "/" + target));
  EXPECT_EQ(mounter_->bind(kGoroot, target_of("u9", "go"), true).error().kind,
            MountError::Kind::PodMissing);
  EXPECT_FALSE(mounter_->is_mounted(target_of("u9", "go")).value());
  EXPECT_TRUE(mounter_->unmount(target_of("u9", "go")));
}

TEST_F(KernelMounterTest, SaysThatAVolumeIsBusy) {
  const std::string target = place("u1", "go");
  ASSERT_TRUE(mounter_->bind(kGoroot, target, true));
  const int held = ::open((pods() + "/" + target + "/bin").c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_GE(held, 0);
  EXPECT_EQ(mounter_->unmount(target).error().kind, MountError::Kind::Busy);
  EXPECT_TRUE(mounter_->is_mounted(target).value());
  ::close(held);
  ASSERT_TRUE(mounter_->unmount(target));
}

TEST_F(KernelMounterTest, FollowsNoLink) {
  const fs::path outside = top_.path("outside");
  fs::create_directories(outside / "v");
  fs::create_directory_symlink(root() + "/" + kGoroot, root() + "/link");
  const std::string target = place("u1", "go");
  EXPECT_FALSE(mounter_->bind("link", target, true));
  fs::create_directories(pods() + "/u2/volumes");
  fs::create_directory_symlink(outside, pods() + "/u2/volumes/kubernetes.io~csi");
  EXPECT_FALSE(mounter_->bind(kGoroot, target_of("u2", "v"), true));
  EXPECT_FALSE(fs::exists(outside / "v" / "mount"));
  // The last folder itself: a link there is not followed either.
  fs::create_directory_symlink(outside, pods() + "/" + target);
  EXPECT_FALSE(mounter_->bind(kGoroot, target, true));
  EXPECT_FALSE(mounter_->unmount(target));
  EXPECT_TRUE(fs::exists(outside / "v"));
}

constexpr const char* kStranger = "csi-kill-5";

/// One shared cache with one layer. What any pod but kStranger's wrote is taken over, into taken/.
class OneLayer final : public SharedCaches {
 public:
  explicit OneLayer(std::string root) : root_(std::move(root)) {}
  CacheAnswer cache_of(const VolumeSpec&) override {
    return {CacheAnswer::Kind::Shared, cache_of_lower(kLower), {}};
  }
  std::string newest(const std::string&) override { return kLower; }
  bool wants(const VolumeRecord& record) override { return record.volume_id != kStranger; }
  tl::expected<void, std::string> hand_over(const VolumeRecord& record) override {
    const std::string name = record.volume_id + "." + std::to_string(++taken_);
    std::error_code error;
    fs::rename(root_ + "/pods/" + record.volume_id, root_ + "/taken/" + name, error);
    if (error && error != std::errc::no_such_file_or_directory) {
      return tl::unexpected(error.message());
    }
    return {};
  }

 private:
  std::string root_;
  int taken_ = 0;
};

/// What a child of the kill test uses; built anew after every death, as the agent is.
struct Agent {
  Agent(const std::string& root, const std::string& pods, StepHook hook = {})
      : mounter(make_kernel_mounter(root, pods)),
        files(PrivateParts::open(root).value()),
        registry(VolumeRegistry::open(root, unreadable).value()),
        provider(clock),
        caches(root),
        service(options(root, pods, std::move(hook)),
                {*registry, files, *mounter, provider, want_of, clock, observer, {}, &caches}) {
    provider.on_state = [root](const auto&) { return ready(root + "/" + kGoroot); };
  }
  static VolumeServiceOptions options(const std::string& root, const std::string& pods,
                                      StepHook hook) {
    VolumeServiceOptions out;
    out.root = root;
    out.pods_dir = pods;
    out.hook = std::move(hook);
    return out;
  }
  std::vector<std::string> unreadable;
  kube::FakeClock clock;
  std::unique_ptr<Mounter> mounter;
  PrivateParts files;
  std::unique_ptr<VolumeRegistry> registry;
  ScriptedProvider provider;
  VolumeObserver observer;
  OneLayer caches;
  VolumeService service;
};

struct Volume {
  PublishCall call;
  std::string target;
};

/// How a child of the kill test ends, but for 0: all its calls were made.
constexpr int kCallFailed = 1;
constexpr int kDied = 9;
constexpr int kDiedAfterHandingOver = 10;

/// Ended at a random step, 500 times, not counting those that finished before: after every restart
/// each mount of ours has a record with the same source, counts are those of the records, no
/// private part is without a record, and what was handed over is whole.
TEST_F(KernelMounterTest, CountsAreExactHoweverOftenItIsKilled) {
  std::vector<Volume> volumes;
  for (int i = 0; i < 6; ++i) {
    const std::string uid = "uid-" + std::to_string(i / 2);
    Volume one;
    one.call = i % 2 == 0 ? toolchain_call(pods()) : cache_call(pods());
    one.call.volume_id = "csi-kill-" + std::to_string(i);
    one.call.attributes["csi.storage.k8s.io/pod.uid"] = uid;
    one.target = place(uid, "v" + std::to_string(i));
    one.call.target_path = pods() + "/" + one.target;
    volumes.push_back(std::move(one));
  }
  fs::remove_all(root() + "/pods");
  fs::create_directories(root() + "/" + kLower);
  fs::create_directories(root() + "/taken");
  std::mt19937 random(20'261'122);  // NOLINT(cert-msc51-cpp): repeatable
  const auto pick = [&](std::size_t below) { return random() % below; };

  constexpr int kDeaths = 500;
  int died = 0;
  int died_after_handing_over = 0;
  for (int round = 0; died < kDeaths && round < 2 * kDeaths; ++round) {
    const std::size_t steps = 1 + pick(20);
    const auto seed = static_cast<std::uint32_t>(random());
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      std::size_t left = steps;
      Agent agent(root(), pods(), [&left](std::string_view step) {
        if (--left == 0) ::_exit(step == "handed-over" ? kDiedAfterHandingOver : kDied);
      });
      std::mt19937 dice(seed);
      for (int i = 0; i < 100; ++i) {
        const Volume& one = volumes[dice() % volumes.size()];
        const bool done =
            dice() % 2 == 0
                ? agent.service.publish(one.call, {}).has_value()
                : agent.service.unpublish(one.call.volume_id, one.call.target_path).has_value();
        if (!done) ::_exit(kCallFailed);
      }
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    ASSERT_NE(WEXITSTATUS(status), kCallFailed) << "round " << round;
    died += WEXITSTATUS(status) != 0 ? 1 : 0;
    died_after_handing_over += WEXITSTATUS(status) == kDiedAfterHandingOver ? 1 : 0;

    Agent agent(root(), pods());
    ASSERT_TRUE(agent.unreadable.empty());
    const auto recovered = recover_volumes(*agent.registry, agent.files, root(), pods());
    ASSERT_TRUE(recovered) << recovered.error();
    const auto mounts =
        mounted_volumes(parse_mountinfo(read_file("/proc/self/mountinfo")), root(), pods());
    std::size_t toolchains = 0;
    std::size_t layers = 0;
    for (const VolumeRecord& record : agent.registry->records()) {
      toolchains += record.unit() == kUnit ? 1U : 0U;
      layers += record.unit() == kLower ? 1U : 0U;
    }
    ASSERT_EQ(agent.registry->uses(kUnit), toolchains);
    ASSERT_EQ(agent.registry->uses(kLower), layers);
    for (const MountedVolume& mount : mounts) {
      bool counted = false;
      for (const VolumeRecord& record : agent.registry->records()) {
        counted = counted || (record.target == mount.target && record.source == mount.source &&
                              record.lower == mount.lower);
      }
      ASSERT_TRUE(counted) << "round " << round << ": " << mount.target;
    }
    for (const std::string& id : agent.files.list()) {
      ASSERT_TRUE(agent.registry->find(id)) << "round " << round << ": " << id;
    }
    for (const auto& taken : fs::directory_iterator(root() + "/taken")) {
      ASSERT_TRUE(fs::exists(taken.path() / "upper")) << "round " << round << ": " << taken.path();
      ASSERT_FALSE(taken.path().filename().string().starts_with(kStranger));
      fs::remove_all(taken.path());
    }
  }
  ASSERT_EQ(died, kDeaths) << "the others made their hundred calls";
  EXPECT_GE(died_after_handing_over, 10);
  Agent agent(root(), pods());
  for (const Volume& one : volumes) {
    ASSERT_TRUE(agent.service.unpublish(one.call.volume_id, one.call.target_path));
    EXPECT_FALSE(fs::exists(one.call.target_path));
  }
  EXPECT_TRUE(agent.registry->records().empty());
  EXPECT_TRUE(agent.files.list().empty());
  EXPECT_TRUE(
      mounted_volumes(parse_mountinfo(read_file("/proc/self/mountinfo")), root(), pods()).empty());
}

TEST_F(KernelMounterTest, AfterARebootNothingIsCountedForPodsThatAreGone) {
  Agent agent(root(), pods());
  PublishCall call = toolchain_call(pods());
  place(kUid, "gobuildenv-toolchain");
  ASSERT_TRUE(agent.service.publish(call, {}));
  // A reboot takes the mounts, the kubelet then removes the pod.
  ASSERT_TRUE(agent.mounter->unmount(call.target_path.substr(pods().size() + 1)));
  ASSERT_TRUE(recover_volumes(*agent.registry, agent.files, root(), pods()));
  EXPECT_EQ(agent.registry->uses(kUnit), 1U) << "the pod's containers may start again";
  fs::remove_all(pods() + "/" + kUid);
  ASSERT_TRUE(recover_volumes(*agent.registry, agent.files, root(), pods()));
  EXPECT_EQ(agent.registry->uses(kUnit), 0U);
  EXPECT_TRUE(agent.registry->records().empty());
}

TEST_F(KernelMounterTest, AMountWhoseRecordWasLostIsCountedAgain) {
  place(kUid, "gobuildenv-toolchain");
  const PublishCall call = toolchain_call(pods());
  {
    Agent agent(root(), pods());
    ASSERT_TRUE(agent.service.publish(call, {}));
  }
  fs::remove_all(root() + "/volumes");
  Agent agent(root(), pods());
  const auto recovered = recover_volumes(*agent.registry, agent.files, root(), pods());
  ASSERT_TRUE(recovered) << recovered.error();
  EXPECT_EQ(recovered->notes.size(), 2U);  // and the stray folder of pods/
  EXPECT_EQ(agent.registry->uses(kUnit), 1U);
}

}  // namespace
}  // namespace gobuildenv::agent
