#include "agent/caches/node_caches.hpp"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "agent/csi/volume_registry.hpp"
#include "agent/csi/volume_service.hpp"
#include "tests/agent/caches/fixture.hpp"
#include "tests/agent/csi/calls.hpp"
#include "tests/agent/csi/fakes.hpp"

namespace gobuildenv::agent {
namespace {

using namespace gobuildenv::agent::testing;  // NOLINT(google-build-using-namespace)
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;
using Kind = PromotionResult::Kind;

/// Volumes with shared caches, all but the kernel's mounts.
class NodeCachesTest : public Layers {
 protected:
  NodeCachesTest() {
    declared_.modules = goenv::CacheScope::Environment;
    declared_.build = goenv::CacheScope::Environment;
    declared_.trusted_service_accounts = {"releaser"};
    start();
  }

  /// As after a start of the agent.
  void start(const StepHook& hook = {}) {
    service_.reset();
    caches_.reset();
    std::vector<std::string> unreadable;
    registry_ = VolumeRegistry::open(root_.path(), unreadable).value();
    NodeCachesOptions options;
    options.root = root_.path();
    options.boot_id = boot_;
    options.max_pending = 3;
    options.hook = hook;
    caches_ = NodeCaches::open(
                  options,
                  {[this](const std::string& ns, const std::string& name)
                       -> tl::expected<std::optional<goenv::Cache>, std::string> {
                     if (!synced_) {
                       clock_.advance(std::chrono::seconds(20));
                       return tl::unexpected(std::string("not listed yet"));
                     }
                     if (ns == "team-a" && name == "ci") return declared_;
                     return std::nullopt;
                   },
                   [this](const std::string& ns) { return ns == "team-a" ? uid_ : "other-uid"; }},
                  clock_, [this](const PromotionResult& one) { results_.push_back(one); })
                  .value();
    VolumeServiceOptions service;
    service.root = root_.path();
    service.pods_dir = kPods;
    service.boot_id = boot_;
    service.hook = hook;
    VolumeService::Parts parts{*registry_, files_, mounter_, provider_, want_of, clock_, observer_};
    parts.caches = caches_.get();
    service_.emplace(service, parts);
  }

  static PublishCall call(const std::string& id, const std::string& account,
                          const std::string& kind = "modules") {
    PublishCall out = cache_call();
    out.volume_id = id;
    out.target_path = std::string(kPods) + "/" + target_of(kUid, id);
    out.attributes["kind"] = kind;
    out.attributes["csi.storage.k8s.io/serviceAccount.name"] = account;
    return out;
  }
  std::string mounted(const PublishCall& one) {
    return mounter_.mounts[one.target_path.substr(std::string(kPods).size() + 1)];
  }
  bool publish(const PublishCall& one) { return service_->publish(one, {}).has_value(); }
  bool unpublish(const PublishCall& one) {
    return service_->unpublish(one.volume_id, one.target_path).has_value();
  }
  std::string upper_of(const std::string& id) { return root_.path("pods/" + id + "/upper"); }
  bool waiting(const std::string& id) { return fs::exists(root_.path("promotions/" + id)); }
  /// A trusted pod that downloads a module.
  void release(const std::string& id, const TestModule& module) {
    const PublishCall one = call(id, "releaser");
    ASSERT_TRUE(publish(one));
    module.write(upper_of(id));
    ASSERT_TRUE(unpublish(one));
  }

  const TestModule module_{"example.com/a", "v1.0.0"};
  bool synced_ = true;
  std::string boot_ = "boot-1";
  goenv::Cache declared_;
  std::string uid_ = "ns-uid";
  kube::FakeClock clock_;
  MemoryMounter mounter_;
  ScriptedProvider provider_{clock_};
  RecordingObserver observer_;
  PrivateParts files_ = PrivateParts::open(root_.path()).value();
  std::unique_ptr<VolumeRegistry> registry_;
  std::vector<PromotionResult> results_;
  std::unique_ptr<NodeCaches> caches_;
  std::optional<VolumeService> service_;
};

TEST_F(NodeCachesTest, WhatATrustedPodWroteIsReadByTheNext) {
  const PublishCall first = call("csi-1", "releaser");
  ASSERT_TRUE(publish(first));
  EXPECT_EQ(mounted(first), "pods/csi-1/upper") << "there is no layer yet";
  EXPECT_EQ(registry_->find("csi-1")->cache, kModules);
  module_.write(upper_of("csi-1"));
  ASSERT_TRUE(unpublish(first));
  EXPECT_THAT(observer_.seen,
              ElementsAre("published csi-1", "handed over csi-1", "released csi-1"));
  EXPECT_TRUE(registry_->records().empty());
  EXPECT_TRUE(files_.list().empty());

  EXPECT_EQ(caches_->promote_pending(), 0U);
  ASSERT_EQ(results_.size(), 1U);
  EXPECT_EQ(results_[0].kind, Kind::Published) << results_[0].why;
  EXPECT_FALSE(waiting("csi-1"));
  EXPECT_FALSE(fs::is_empty(root_.path("trash")));

  const PublishCall second = call("csi-2", "default");
  ASSERT_TRUE(publish(second));
  const std::string lower = std::string(kModules) + "/lower/1";
  EXPECT_EQ(mounted(second), lower + " + pods/csi-2/upper + pods/csi-2/work");
  EXPECT_EQ(registry_->uses(lower), 1U);
  EXPECT_EQ(mode(upper_of("csi-2")), 0777U);
  // Its writes are its own.
  const TestModule evil{"example.com/evil", "v1.0.0"};
  evil.write(upper_of("csi-2"));
  ASSERT_TRUE(unpublish(second));
  EXPECT_EQ(registry_->uses(lower), 0U);
  EXPECT_FALSE(waiting("csi-2"));
  EXPECT_EQ(caches_->promote_pending(), 0U);
  EXPECT_EQ(newest(kModules), lower);
}

TEST_F(NodeCachesTest, ABuildCacheIsNotTrimmedAtOnce) {
  release("csi-1", module_);
  const PublishCall first = call("csi-2", "releaser", "build");
  ASSERT_TRUE(publish(first));
  EXPECT_FALSE(fs::exists(upper_of("csi-2") + "/trim.txt"));
  TestBuild{"x", "object"}.write(upper_of("csi-2"));
  ASSERT_TRUE(unpublish(first));
  caches_->promote_pending();
  EXPECT_EQ(newest(kBuilds), std::string(kBuilds) + "/lower/1");
  const PublishCall second = call("csi-3", "default", "build");
  ASSERT_TRUE(publish(second));
  const std::string stamp = read_file(upper_of("csi-3") + "/trim.txt");
  const auto now = clock_.wall_now().time_since_epoch();
  EXPECT_EQ(stamp, std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now).count()));
  EXPECT_EQ(mode(upper_of("csi-3") + "/trim.txt"), 0666U);
}

TEST_F(NodeCachesTest, TrustIsAskedForAgainWhenItIsTheirTurn) {
  release("csi-1", module_);
  EXPECT_TRUE(waiting("csi-1"));
  declared_.trusted_service_accounts = {};
  EXPECT_EQ(caches_->promote_pending(), 0U);
  ASSERT_EQ(results_.size(), 1U);
  EXPECT_EQ(results_[0].kind, Kind::NotTrusted);
  EXPECT_EQ(newest(kModules), "");
  EXPECT_FALSE(waiting("csi-1"));
}

TEST_F(NodeCachesTest, AnotherNamespaceOfTheSameNameIsAnotherOne) {
  release("csi-1", module_);
  uid_ = "ns-uid-2";
  EXPECT_EQ(caches_->promote_pending(), 0U);
  EXPECT_EQ(results_.at(0).kind, Kind::NotTrusted);
  EXPECT_EQ(newest(kModules), "");
  EXPECT_EQ(newest("caches/ns-uid-2/ci/mod"), "");
}

TEST_F(NodeCachesTest, WaitsUntilTheClusterIsKnown) {
  synced_ = false;
  const PublishCall early = call("csi-1", "default");
  ASSERT_TRUE(publish(early)) << "a volume cannot fail a pod";
  EXPECT_EQ(mounted(early), "pods/csi-1/upper");
  EXPECT_EQ(registry_->find("csi-1")->cache, "");
  EXPECT_THAT(observer_.seen, ElementsAre("not shared csi-1: not listed yet", "published csi-1"));
  synced_ = true;
  const PublishCall trusted = call("csi-2", "releaser");
  ASSERT_TRUE(publish(trusted));
  module_.write(upper_of("csi-2"));
  synced_ = false;
  start();
  ASSERT_TRUE(unpublish(trusted));
  EXPECT_TRUE(waiting("csi-2"));
  EXPECT_EQ(caches_->promote_pending(), 1U);
  synced_ = true;
  uid_.clear();
  EXPECT_EQ(caches_->promote_pending(), 1U);
  uid_ = "ns-uid";
  EXPECT_EQ(caches_->promote_pending(), 0U);
  EXPECT_EQ(newest(kModules), std::string(kModules) + "/lower/1");
}

TEST_F(NodeCachesTest, OnlySoManyWait) {
  for (const char* id : {"csi-1", "csi-2", "csi-3"}) release(id, module_);
  release("csi-4", {"example.com/late", "v1.0.0"});
  EXPECT_TRUE(waiting("csi-3"));
  EXPECT_FALSE(waiting("csi-4"));
  EXPECT_EQ(caches_->promote_pending(), 0U);
  EXPECT_EQ(results_.size(), 3U);
}

TEST_F(NodeCachesTest, WhatWaitsForOneCacheBecomesOneLayer) {
  release("csi-1", {"example.com/a", "v1.0.0"});
  release("csi-2", {"example.com/b", "v1.0.0"});
  const PublishCall build = call("csi-3", "releaser", "build");
  ASSERT_TRUE(publish(build));
  TestBuild{"x", "object"}.write(upper_of("csi-3"));
  ASSERT_TRUE(unpublish(build));
  EXPECT_EQ(caches_->promote_pending(), 0U);
  EXPECT_EQ(newest(kModules), std::string(kModules) + "/lower/1");
  EXPECT_EQ(newest(kBuilds), std::string(kBuilds) + "/lower/1");
  const auto files = content(layer(kModules, 1));
  EXPECT_THAT(files, Contains(Key("example.com/a@v1.0.0/a.go")));
  EXPECT_THAT(files, Contains(Key("example.com/b@v1.0.0/a.go")));
  ASSERT_EQ(results_.size(), 3U);
  std::uint64_t taken = 0;
  for (const PromotionResult& one : results_) {
    EXPECT_EQ(one.kind, Kind::Published) << one.record.volume_id << ": " << one.why;
    EXPECT_EQ(one.along_with, one.record.volume_id == "csi-2" ? "csi-1" : "");
    taken += one.promotion.report.taken;
  }
  EXPECT_EQ(taken, 3U) << "two modules and an output with its action, each counted once";
  for (const char* id : {"csi-1", "csi-2", "csi-3"}) EXPECT_FALSE(waiting(id));
}

TEST_F(NodeCachesTest, OneThatCannotBeReadCostsTheOthersNothing) {
  for (const char* id : {"csi-1", "csi-2", "csi-3"}) {
    release(id, {std::string("example.com/") + id, "v1.0.0"});
  }
  fs::remove_all(root_.path("promotions/csi-2/upper"));
  EXPECT_EQ(caches_->promote_pending(), 0U);
  ASSERT_EQ(results_.size(), 3U);
  for (const PromotionResult& one : results_) {
    EXPECT_EQ(one.kind == Kind::Failed, one.record.volume_id == "csi-2") << one.why;
  }
  const auto files = content(root_.path(newest(kModules)));
  EXPECT_THAT(files, Contains(Key("example.com/csi-1@v1.0.0/a.go")));
  EXPECT_THAT(files, Contains(Key("example.com/csi-3@v1.0.0/a.go")));
}

/// As of a kill, or a disk that was full, while it was written.
TEST_F(NodeCachesTest, ADamagedRecordOfAnEarlierTryIsReplaced) {
  const PublishCall one = call("csi-1", "releaser");
  ASSERT_TRUE(publish(one));
  module_.write(upper_of("csi-1"));
  for (const char* left : {"record.json", "record.json.new"}) {
    std::ofstream(root_.path(std::string("pods/csi-1/") + left)) << "{\"volu";
  }
  ASSERT_TRUE(unpublish(one));
  EXPECT_EQ(caches_->promote_pending(), 0U);
  ASSERT_EQ(results_.size(), 1U);
  EXPECT_EQ(results_[0].kind, Kind::Published) << results_[0].why;
}

TEST_F(NodeCachesTest, TheRecordIsThereWholeOrNotAtAll) {
  const PublishCall one = call("csi-1", "releaser");
  std::vector<std::string> steps;
  start([&](std::string_view at) {
    const bool there = fs::exists(root_.path("pods/csi-1/record.json"));
    steps.push_back(std::string(at) + (there ? ", a record" : ""));
  });
  ASSERT_TRUE(publish(one));
  steps.clear();
  ASSERT_TRUE(unpublish(one));
  EXPECT_THAT(steps, ElementsAre("unmounted", "file-written", "file-renamed, a record", "given",
                                 "handed-over", "discarded", "removed"));
}

TEST_F(NodeCachesTest, TheCollectorTakesNoneThatALayerIsBeingMadeOf) {
  release("csi-1", module_);
  const auto root = collector::open_trusted_folder(root_.path()).value();
  int held = 0;
  start([&](std::string_view at) {
    if (at != "made") return;
    const auto hold = collector::hold_folder(root.get(), "promotions/csi-1");
    held += !hold && hold.error() == std::errc::operation_would_block ? 1 : 0;
  });
  release("csi-2", {"example.com/b", "v1.0.0"});
  {
    const auto collecting = collector::hold_folder(root.get(), "promotions/csi-2");
    ASSERT_TRUE(collecting);
    EXPECT_EQ(caches_->promote_pending(), 1U) << "the other way round";
  }
  EXPECT_EQ(held, 1);
  EXPECT_EQ(caches_->promote_pending(), 0U);
  EXPECT_EQ(newest(kModules), std::string(kModules) + "/lower/2");
}

TEST_F(NodeCachesTest, WithoutOverlaysThePodHasACacheOfItsOwn) {
  release("csi-1", module_);
  caches_->promote_pending();
  observer_.seen.clear();
  mounter_.on_overlay = [](const auto&) {
    return tl::unexpected(MountError{MountError::Kind::Other, "no such file system"});
  };
  const PublishCall one = call("csi-2", "default");
  ASSERT_TRUE(publish(one));
  EXPECT_EQ(mounted(one), "pods/csi-2/upper");
  EXPECT_EQ(registry_->find("csi-2")->lower, "");
  EXPECT_THAT(observer_.seen,
              ElementsAre("not shared csi-2: no such file system", "published csi-2"));
}

TEST_F(NodeCachesTest, ALayerThatGoesMeanwhileIsNotMissed) {
  release("csi-1", module_);
  caches_->promote_pending();
  release("csi-2", {"example.com/b", "v1.0.0"});
  int tried = 0;
  mounter_.on_overlay = [&](const OverlayLayers&) -> tl::expected<void, MountError> {
    if (++tried > 1) return {};
    caches_->promote_pending();
    return tl::unexpected(MountError{MountError::Kind::SourceMissing, "collected"});
  };
  const PublishCall one = call("csi-3", "default");
  ASSERT_TRUE(publish(one));
  EXPECT_EQ(registry_->find("csi-3")->lower, std::string(kModules) + "/lower/2");
}

TEST_F(NodeCachesTest, APublishAfterARebootBeginsAnew) {
  const PublishCall one = call("csi-1", "releaser");
  ASSERT_TRUE(publish(one));
  write_file(upper_of("csi-1") + "/half", "writ");
  mounter_.mounts.clear();
  start();
  ASSERT_TRUE(publish(one));
  EXPECT_FALSE(fs::exists(upper_of("csi-1") + "/half"));
  EXPECT_EQ(registry_->records().size(), 1U);
}

/// Nothing of an upper is synced: a file in it may be there without its content.
TEST_F(NodeCachesTest, WhatWasWrittenBeforeARebootIsNotTaken) {
  const PublishCall ends_later = call("csi-1", "releaser");
  ASSERT_TRUE(publish(ends_later));
  module_.write(upper_of("csi-1"));
  release("csi-2", {"example.com/b", "v1.0.0"});
  boot_ = "boot-2";
  mounter_.mounts.clear();
  start();
  ASSERT_TRUE(unpublish(ends_later));
  EXPECT_EQ(caches_->promote_pending(), 0U);
  ASSERT_EQ(results_.size(), 2U);
  for (const PromotionResult& one : results_) {
    EXPECT_EQ(one.kind, Kind::Failed);
    EXPECT_THAT(one.why, HasSubstr("the node went down"));
    EXPECT_FALSE(waiting(one.record.volume_id));
  }
  EXPECT_EQ(newest(kModules), "");
  release("csi-3", module_);
  EXPECT_EQ(caches_->promote_pending(), 0U);
  EXPECT_EQ(newest(kModules), std::string(kModules) + "/lower/1");
}

/// The agent is killed at each step of the end of a trusted pod and of its promotion.
TEST_F(NodeCachesTest, KilledAtEachStep) {
  for (int die_at = 1;; ++die_at) {
    fs::remove_all(root_.path("caches"));
    const PublishCall one = call("csi-" + std::to_string(die_at), "releaser");
    ASSERT_TRUE(publish(one));
    module_.write(upper_of(one.volume_id));
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      int steps = 0;
      start([&](std::string_view) {
        if (++steps == die_at) ::_exit(9);
      });
      if (!unpublish(one)) ::_exit(1);
      caches_->promote_pending();
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_NE(WEXITSTATUS(status), 1);
    if (!newest(kModules).empty()) {
      EXPECT_THAT(content(layer(kModules, 1)), Contains(Key(module_.name() + "/a.go")));
    }
    start();
    ASSERT_TRUE(unpublish(one)) << "the kubelet asks again";
    EXPECT_EQ(caches_->promote_pending(), 0U);
    EXPECT_EQ(newest(kModules), std::string(kModules) + "/lower/1") << "step " << die_at;
    EXPECT_TRUE(registry_->records().empty());
    EXPECT_TRUE(files_.list().empty());
    EXPECT_TRUE(fs::is_empty(root_.path("promotions")));
    if (WEXITSTATUS(status) == 0) {
      EXPECT_GT(die_at, 8);
      break;
    }
  }
}

TEST_F(NodeCachesTest, WorksInTheBackground) {
  kube::RealClock clock;
  std::mutex mutex;
  std::condition_variable changed;
  int done = 0;
  NodeCachesOptions options;
  options.root = root_.path();
  auto caches = NodeCaches::open(
      options,
      {[this](const auto&, const auto&) { return std::optional<goenv::Cache>(declared_); },
       [](const auto&) { return "ns-uid"; }},
      clock, [&](const PromotionResult&) {
        const std::lock_guard lock(mutex);
        ++done;
        changed.notify_all();
      });
  ASSERT_TRUE(caches);
  (*caches)->start();
  for (const char* id : {"csi-1", "csi-2"}) {
    VolumeRecord record;
    record.volume_id = id;
    record.kind = VolumeKind::Modules;
    record.pod = {"team-a", "p", kUid, "releaser"};
    record.environment = "ci";
    record.target = target_of(kUid, id);
    record.source = std::string("pods/") + id + "/upper";
    record.cache = kModules;
    TestModule{std::string("example.com/") + id, "v1.0.0"}.write(upper_of(id));
    ASSERT_TRUE((*caches)->hand_over(record));
  }
  std::unique_lock lock(mutex);
  EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(60), [&] { return done == 2; }));
  lock.unlock();
  (*caches)->stop();
  // One layer if both were there when it was begun.
  const auto files = content(root_.path(newest(kModules)));
  EXPECT_THAT(files, Contains(Key("example.com/csi-1@v1.0.0/a.go")));
  EXPECT_THAT(files, Contains(Key("example.com/csi-2@v1.0.0/a.go")));
}

}  // namespace
}  // namespace gobuildenv::agent
