#include "agent/csi/volume_service.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/agent/csi/calls.hpp"
#include "tests/agent/csi/fakes.hpp"
#include "tests/agent/temp_folder.hpp"

namespace gobuildenv::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using namespace gobuildenv::agent::testing;  // NOLINT(google-build-using-namespace)

using Code = CallError::Code;
constexpr const char* kUnit = "toolchains/go1.22.3.linux-amd64/h1-abc";

class VolumeServiceTest : public ::testing::Test {
 protected:
  VolumeServiceTest() { make(); }

  /// As after a start of the agent: what is in memory is gone.
  void make(StepHook hook = {}, WantLookup want = want_of) {
    service_.reset();
    std::vector<std::string> unreadable;
    registry_ = VolumeRegistry::open(root_.path(), unreadable).value();
    EXPECT_TRUE(unreadable.empty());
    VolumeServiceOptions options;
    options.root = root_.path();
    options.pods_dir = kPods;
    options.hook = std::move(hook);
    service_.emplace(options,
                     VolumeService::Parts{*registry_,
                                          files_,
                                          mounter_,
                                          provider_,
                                          std::move(want),
                                          clock_,
                                          observer_,
                                          {},
                                          nullptr,
                                          [this](const auto&, const auto&) { return newer_; }});
  }

  std::string goroot() { return root_.path(std::string(kUnit) + "/goroot"); }
  tl::expected<void, CallError> publish(const PublishCall& call, CallContext context = {}) {
    return service_->publish(call, context);
  }
  static std::string at(const PublishCall& call) {
    return call.target_path.substr(std::string(kPods).size() + 1);
  }

  TempFolder root_;
  kube::FakeClock clock_;
  MemoryMounter mounter_;
  ScriptedProvider provider_{clock_};
  RecordingObserver observer_;
  std::vector<std::string> newer_;
  PrivateParts files_ = PrivateParts::open(root_.path()).value();
  std::unique_ptr<VolumeRegistry> registry_;
  std::optional<VolumeService> service_;
};

TEST_F(VolumeServiceTest, MountsAToolchainReadOnlyAndCountsIt) {
  provider_.on_state = [&](const auto& want) {
    EXPECT_EQ(want.id.name(), "go1.22.3.linux-amd64");
    return ready(goroot());
  };
  const PublishCall call = toolchain_call();
  ASSERT_TRUE(publish(call));
  EXPECT_EQ(mounter_.mounts[at(call)], std::string(kUnit) + "/goroot");
  EXPECT_TRUE(mounter_.read_only.contains(at(call)));
  EXPECT_EQ(registry_->uses(kUnit), 1U);
  EXPECT_THAT(observer_.seen, ElementsAre("published csi-1"));

  ASSERT_TRUE(service_->unpublish(call.volume_id, call.target_path));
  EXPECT_TRUE(mounter_.mounts.empty());
  EXPECT_EQ(registry_->uses(kUnit), 0U);
  EXPECT_TRUE(registry_->records().empty());
  EXPECT_THAT(observer_.seen, ElementsAre("published csi-1", "released csi-1"));
}

TEST_F(VolumeServiceTest, OffersNewerToolchainsInsideTheDeclaredOne) {
  const std::string unit = "toolchains/go1.25.3.linux-amd64/h1-def";
  const std::string gone = "toolchains/go1.24.0.linux-amd64/h1-ghi";
  provider_.on_state = [&](const auto&) { return ready(goroot()); };
  newer_ = {root_.path(unit + "/goroot"), root_.path(gone + "/goroot"), "/elsewhere/goroot"};
  mounter_.on_bind = [&](const std::string& source) -> tl::expected<void, MountError> {
    if (!source.starts_with(gone)) return {};
    return tl::unexpected(MountError{MountError::Kind::SourceMissing, "collected"});
  };
  make();
  const PublishCall call = toolchain_call();
  ASSERT_TRUE(publish(call));
  const std::map<std::string, std::string> inside{
      {at(call) + "/.newer/go1.25.3", unit + "/goroot"}};
  EXPECT_EQ(mounter_.inside, inside);
  EXPECT_EQ(registry_->uses(unit), 1U);
  EXPECT_EQ(registry_->uses(kUnit), 1U);
  EXPECT_THAT(observer_.seen, ElementsAre("not offered csi-1: collected", "published csi-1"));
  // Killed after the first mount: the kubelet asks again, and the rest follows.
  mounter_.inside.clear();
  make();
  EXPECT_EQ(registry_->uses(unit), 1U) << "from the record";
  ASSERT_TRUE(publish(call));
  EXPECT_EQ(mounter_.inside, inside);
  ASSERT_TRUE(service_->unpublish(call.volume_id, call.target_path));
  EXPECT_EQ(registry_->uses(unit), 0U);
}

TEST_F(VolumeServiceTest, RepeatedCallsChangeNothing) {
  provider_.on_state = [&](const auto&) { return ready(goroot()); };
  const PublishCall call = toolchain_call();
  ASSERT_TRUE(publish(call));
  ASSERT_TRUE(publish(call));
  EXPECT_EQ(registry_->uses(kUnit), 1U);
  make();  // the agent was restarted
  EXPECT_EQ(registry_->uses(kUnit), 1U);
  ASSERT_TRUE(publish(call));
  EXPECT_EQ(registry_->uses(kUnit), 1U);
  EXPECT_THAT(observer_.seen, ElementsAre("published csi-1"));
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(service_->unpublish(call.volume_id, call.target_path));
    EXPECT_EQ(registry_->uses(kUnit), 0U);
  }
}

TEST_F(VolumeServiceTest, OneVolumeHasOnePlace) {
  provider_.on_state = [&](const auto&) { return ready(goroot()); };
  PublishCall call = toolchain_call();
  const std::string first = call.target_path;
  ASSERT_TRUE(publish(call));
  call.target_path = std::string(kPods) + "/" + target_of(kUid, "elsewhere");
  const auto again = publish(call);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::AlreadyExists);
  // Nor is it released by an unpublish from there.
  ASSERT_TRUE(service_->unpublish(call.volume_id, call.target_path));
  EXPECT_EQ(registry_->uses(kUnit), 1U);
}

TEST_F(VolumeServiceTest, ACacheIsThePodsOwnFolder) {
  PublishCall call = cache_call();
  call.mount_group = std::to_string(::getegid());
  ASSERT_TRUE(publish(call));
  EXPECT_EQ(mounter_.mounts[at(call)], "pods/csi-2/upper");
  EXPECT_THAT(observer_.seen,
              ElementsAre("not shared csi-2: this agent shares none", "published csi-2"));
  EXPECT_FALSE(mounter_.read_only.contains(at(call)));
  struct stat found {};
  ASSERT_EQ(::stat(root_.path("pods/csi-2/upper").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777U, 02777U);
  EXPECT_EQ(found.st_gid, ::getegid());
  write_file(root_.path("pods/csi-2/upper/left-over"), "x");
  ASSERT_TRUE(service_->unpublish(call.volume_id, call.target_path));
  EXPECT_FALSE(std::filesystem::exists(root_.path("pods/csi-2")));
  EXPECT_FALSE(std::filesystem::is_empty(root_.path("trash")));
}

TEST_F(VolumeServiceTest, WaitsForAToolchainThatIsBeingFetched) {
  int asked = 0;
  provider_.on_state = [&](const auto&) {
    if (++asked > 8) return ready(goroot());
    ToolchainState state;
    state.kind = ToolchainState::Kind::Fetching;
    state.bytes = 20'000'000;
    state.total_bytes = 73'000'000;
    return state;
  };
  ASSERT_TRUE(publish(toolchain_call()));
  EXPECT_EQ(registry_->uses(kUnit), 1U);
  EXPECT_THAT(observer_.seen, ElementsAre("waiting csi-1: go1.22.3.linux-amd64 is being fetched, "
                                          "20 of 73 MB",
                                          "published csi-1"));
}

TEST_F(VolumeServiceTest, AtTheDeadlineThePodGetsAMarker) {
  provider_.on_state = [&](const auto&) {
    ToolchainState state;
    state.kind = ToolchainState::Kind::Failed;
    state.reason = "ProxyUnreachable";
    state.message = "goproxy.example does not answer";
    state.retry_at = clock_.now() + std::chrono::hours(1);
    return state;
  };
  const auto began = clock_.now();
  const PublishCall call = toolchain_call();
  ASSERT_TRUE(publish(call));
  EXPECT_EQ(clock_.now() - began, std::chrono::seconds(90));
  EXPECT_EQ(mounter_.mounts[at(call)], "pods/csi-1/unavailable");
  EXPECT_EQ(read_file(root_.path("pods/csi-1/unavailable/.gobuildenv-unavailable")),
            "go1.22.3.linux-amd64: ProxyUnreachable: goproxy.example does not answer\n");
  EXPECT_THAT(registry_->find("csi-1")->unavailable, HasSubstr("ProxyUnreachable"));
}

TEST_F(VolumeServiceTest, LeavesTheCallerTimeForAnAnswer) {
  provider_.on_state = [](const auto&) { return ToolchainState{}; };
  const auto began = clock_.now();
  ASSERT_TRUE(publish(toolchain_call(), {began + std::chrono::seconds(30), {}}));
  EXPECT_EQ(clock_.now() - began, std::chrono::seconds(20));
}

TEST_F(VolumeServiceTest, WhatNoWaitingHelpsIsSaidAtOnce) {
  provider_.on_state = [](const auto&) {
    ToolchainState state;
    state.kind = ToolchainState::Kind::Failed;
    state.reason = "SumMismatch";
    return state;
  };
  const auto began = clock_.now();
  ASSERT_TRUE(publish(toolchain_call()));
  EXPECT_EQ(clock_.now(), began);
  EXPECT_FALSE(registry_->find("csi-1")->unavailable.empty());
}

TEST_F(VolumeServiceTest, ANamespaceGetsOnlyWhatItAskedFor) {
  make({}, [](const VolumeSpec&) -> tl::expected<ToolchainWant, WantError> {
    return tl::unexpected(WantError{"no GoBuildEnv ci in namespace team-a", false});
  });
  ASSERT_TRUE(publish(toolchain_call()));
  EXPECT_EQ(registry_->find("csi-1")->unavailable, "no GoBuildEnv ci in namespace team-a");
  EXPECT_EQ(provider_.waits, 0);
}

TEST_F(VolumeServiceTest, WaitsForItsCachesToCatchUp) {
  int asked = 0;
  make({}, [&](const VolumeSpec& spec) -> tl::expected<ToolchainWant, WantError> {
    if (++asked < 3) return tl::unexpected(WantError{"not synced", true});
    return want_of(spec);
  });
  provider_.on_state = [&](const auto&) { return ready(goroot()); };
  std::atomic<bool> done{false};
  std::thread time([&] {
    while (!done) {
      const auto looks = clock_.looks();
      clock_.advance(std::chrono::milliseconds(100));
      // Nobody sleeps any more, or has seen this step.
      while (!done && clock_.looks() == looks) std::this_thread::yield();
    }
  });
  const auto published = publish(toolchain_call());
  done = true;
  time.join();
  ASSERT_TRUE(published);
  EXPECT_EQ(registry_->uses(kUnit), 1U);
}

TEST_F(VolumeServiceTest, EndsWhenTheCallerHasGone) {
  provider_.on_state = [](const auto&) { return ToolchainState{}; };
  CallContext context;
  context.cancelled = [] { return true; };
  const auto published = publish(toolchain_call(), context);
  ASSERT_FALSE(published);
  EXPECT_EQ(published.error().code, Code::Cancelled);
  EXPECT_TRUE(registry_->records().empty());
  service_->begin_shutdown();
  EXPECT_EQ(publish(toolchain_call()).error().code, Code::Unavailable);
}

TEST_F(VolumeServiceTest, AToolchainCollectedMeanwhileIsFetchedAgain) {
  int binds = 0;
  provider_.on_state = [&](const auto&) { return ready(goroot()); };
  mounter_.on_bind = [&](const std::string&) -> tl::expected<void, MountError> {
    if (++binds == 1) {
      return tl::unexpected(MountError{MountError::Kind::SourceMissing, "gone"});
    }
    return {};
  };
  ASSERT_TRUE(publish(toolchain_call()));
  EXPECT_EQ(binds, 2);
  EXPECT_EQ(registry_->uses(kUnit), 1U);
}

TEST_F(VolumeServiceTest, AFailedMountLeavesNothing) {
  mounter_.on_bind = [](const std::string&) -> tl::expected<void, MountError> {
    return tl::unexpected(MountError{MountError::Kind::Other, "no space"});
  };
  const auto published = publish(cache_call());
  ASSERT_FALSE(published);
  EXPECT_EQ(published.error().code, Code::Internal);
  EXPECT_TRUE(registry_->records().empty());
  EXPECT_TRUE(files_.list().empty());
}

TEST_F(VolumeServiceTest, ABusyVolumeStaysCounted) {
  provider_.on_state = [&](const auto&) { return ready(goroot()); };
  const PublishCall call = toolchain_call();
  ASSERT_TRUE(publish(call));
  mounter_.on_unmount = []() -> tl::expected<void, MountError> {
    return tl::unexpected(MountError{MountError::Kind::Busy, "in use"});
  };
  const auto gone = service_->unpublish(call.volume_id, call.target_path);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Code::Unavailable);
  EXPECT_EQ(registry_->uses(kUnit), 1U);
}

TEST_F(VolumeServiceTest, RefusesBeforeItTouchesAnything) {
  PublishCall call = toolchain_call();
  call.attributes["kind"] = "disk";
  const auto published = publish(call);
  ASSERT_FALSE(published);
  EXPECT_EQ(published.error().code, Code::InvalidArgument);
  const auto gone = service_->unpublish("csi-1", "/etc");
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Code::InvalidArgument);
  EXPECT_TRUE(std::filesystem::is_empty(root_.path("volumes")));
}

TEST_F(VolumeServiceTest, OneCallAtATimeForAVolume) {
  tl::expected<void, CallError> second;
  provider_.on_state = [&](const auto&) {
    second = service_->unpublish("csi-1", toolchain_call().target_path);
    return ready(goroot());
  };
  ASSERT_TRUE(publish(toolchain_call()));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::Aborted);
}

TEST_F(VolumeServiceTest, AUnitInUseIsNotTakenAway) {
  provider_.on_state = [&](const auto&) { return ready(goroot()); };
  const PublishCall call = toolchain_call();
  ASSERT_TRUE(publish(call));
  bool taken = false;
  EXPECT_FALSE(registry_->if_unused(kUnit, [&] { taken = true; }));
  ASSERT_TRUE(service_->unpublish(call.volume_id, call.target_path));
  EXPECT_TRUE(registry_->if_unused(kUnit, [&] { taken = true; }));
  EXPECT_TRUE(taken);
}

TEST_F(VolumeServiceTest, ABrokenRecordIsDroppedAndNamed) {
  write_file(root_.path("volumes/csi-9.json"), "{\"volume\": \"csi-9\"");
  write_file(root_.path("volumes/csi-8.json"), "");
  write_file(root_.path("volumes/csi-7.json.new"), "half");
  std::vector<std::string> unreadable;
  const auto registry = VolumeRegistry::open(root_.path(), unreadable);
  ASSERT_TRUE(registry);
  EXPECT_THAT(unreadable, ::testing::UnorderedElementsAre(StartsWith("csi-9.json: "),
                                                          StartsWith("csi-8.json: ")));
  EXPECT_TRUE(std::filesystem::is_empty(root_.path("volumes")));
}

/// The agent dies after each step; the kubelet then repeats the call, or gives the pod up.
TEST_F(VolumeServiceTest, EveryInterruptionIsFinishedLater) {
  provider_.on_state = [&](const auto&) { return ready(goroot()); };
  struct Dies {
    const char* at;
    bool publishing;
  };
  for (const PublishCall& call : {toolchain_call(), cache_call()}) {
    for (const Dies& dies :
         {Dies{"parts", true}, Dies{"recorded", true}, Dies{"mounted", true},
          Dies{"unmounted", false}, Dies{"discarded", false}, Dies{"removed", false}}) {
      for (const bool repeats : {true, false}) {
        if (!dies.publishing) {
          ASSERT_TRUE(publish(call));
        }
        make([&](std::string_view at) {
          if (at == dies.at) throw std::runtime_error("killed");
        });
        if (dies.publishing) {
          EXPECT_THROW(static_cast<void>(publish(call)), std::runtime_error);
        } else {
          EXPECT_THROW(static_cast<void>(service_->unpublish(call.volume_id, call.target_path)),
                       std::runtime_error);
        }
        make();
        // Whatever is mounted is counted, at every instant.
        EXPECT_LE(mounter_.mounts.size(), registry_->records().size()) << dies.at;
        if (dies.publishing && repeats) {
          ASSERT_TRUE(publish(call)) << dies.at;
          EXPECT_EQ(mounter_.mounts.size(), 1U);
        }
        ASSERT_TRUE(service_->unpublish(call.volume_id, call.target_path)) << dies.at;
        EXPECT_TRUE(mounter_.mounts.empty()) << dies.at;
        EXPECT_TRUE(registry_->records().empty()) << dies.at;
        EXPECT_TRUE(files_.list().empty()) << dies.at;
      }
    }
  }
}

}  // namespace
}  // namespace gobuildenv::agent
