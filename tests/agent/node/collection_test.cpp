#include "agent/node/collection.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "agent/collector/agent_facts.hpp"
#include "agent/node/agent_roots.hpp"
#include "tests/agent/temp_folder.hpp"

namespace gobuildenv::agent {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::read_file;
using testing::TempFolder;
using testing::write_file;

constexpr const char* kNew = "toolchains/go1.22.3.linux-amd64/h1-new";
constexpr const char* kOld = "toolchains/go1.21.6.linux-amd64/h1-old";
constexpr std::int64_t kYear = 365 * 86'400;

/// A cluster that says what a test says.
class FakeCluster final : public ClusterNeeds {
 public:
  std::atomic<bool> is_known{true};
  std::atomic<int> refreshed{0};

  [[nodiscard]] bool known() const override { return is_known; }
  void refresh() override { ++refreshed; }
  [[nodiscard]] std::vector<collector::Root> roots(
      const std::vector<VolumeRecord>& /*records*/) const override {
    const std::lock_guard lock(mutex_);
    return roots_;
  }
  [[nodiscard]] collector::LastKnown wanted() const override {
    const std::lock_guard lock(mutex_);
    return {{"pod-1"}, roots_};
  }
  [[nodiscard]] collector::Limits limits(collector::Limits node) const override { return node; }
  void need(std::vector<collector::Root> roots) {
    const std::lock_guard lock(mutex_);
    roots_ = std::move(roots);
  }

 private:
  mutable std::mutex mutex_;
  std::vector<collector::Root> roots_;
};

class Collecting : public ::testing::Test {
 protected:
  Collecting() {
    fs::create_directories(at("kubelet-pods/pod-1"));
    for (const char* unit : {kNew, kOld}) write_file(at(unit) + "/goroot/bin/go", "go");
    std::vector<std::string> unreadable;
    registry_ = VolumeRegistry::open(folder_.path(), unreadable).value();
    limits_.node.unused_for = hours(1);
    limits_.high_percent = limits_.low_percent = 100;  // whatever this machine's disk is like
  }

  [[nodiscard]] std::string at(const std::string& name) const { return folder_.path(name); }
  [[nodiscard]] bool there(const std::string& name) const { return fs::exists(at(name)); }

  void open() {
    CollectionOptions options;
    options.root = folder_.path();
    options.pods_dir = at("kubelet-pods");
    options.limits = limits_;
    options.clocks = [this] {
      const auto boot = std::chrono::duration_cast<seconds>(clock_.boot_time());
      const auto wall = std::chrono::duration_cast<std::chrono::nanoseconds>(
          clock_.wall_now().time_since_epoch());
      return collector::ClockReading{wall.count(), boot, "this boot"};
    };
    collection_ = Collection::open(std::move(options), {clock_, metrics_, *registry_, leases_,
                                                        &cluster_, [this] { ++trashed_; }})
                      .value();
    collection_->on_change([this] { ++changes_; });
  }
  void start() {
    open();
    collection_->start();
    pass(seconds(10));
    wait_until("the first run", [this] { return runs() > 0; });
  }

  /// Another process, on a full disk and without an API server, for twenty minutes.
  void start_alone() {
    collection_.reset();
    cluster_.is_known = false;
    limits_.high_percent = limits_.low_percent = 0;
    open();
    collection_->start();
    pass(minutes(20));
  }

  [[nodiscard]] std::optional<std::chrono::system_clock::time_point> last_run() const {
    const auto state = collection_->latest();
    return state ? state->last_run : std::nullopt;
  }
  [[nodiscard]] int runs() const { return cluster_.refreshed; }

  /// Time passes, a step at a time, and the thread sees each step.
  void pass(seconds time, seconds step = minutes(5)) {
    while (time > seconds(0)) {
      const seconds now = std::min(step, time);
      clock_.advance(now);
      time -= now;
      const auto looks = clock_.looks();
      wait_until("the thread to look", [&] { return clock_.looks() > looks + 2; });
    }
  }

  static void wait_until(const char* what, const std::function<bool()>& true_now) {
    const auto end = std::chrono::steady_clock::now() + seconds(30);
    while (!true_now()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "waited for " << what;
      std::this_thread::sleep_for(milliseconds(1));
    }
  }

  void publish(const std::string& id, const std::string& unit) {
    VolumeRecord record;
    record.volume_id = id;
    record.pod = {"ci", "build", "uid", ""};
    record.environment = "env";
    record.target = "uid/volumes/kubernetes.io~csi/v/mount";
    record.source = unit + "/goroot";
    ASSERT_TRUE(registry_->put(record));
  }

  TempFolder folder_;
  kube::FakeClock clock_;
  kube::Metrics metrics_;
  collector::Leases leases_;
  FakeCluster cluster_;
  collector::Limits limits_;
  std::atomic<int> trashed_{0};
  std::atomic<int> changes_{0};
  std::unique_ptr<VolumeRegistry> registry_;
  std::unique_ptr<Collection> collection_;
};

TEST_F(Collecting, TakesWhatNobodyNeedsAnyMoreAndSaysSo) {
  cluster_.need({{kNew, "GoBuildEnv ci/new"}, {kOld, "GoBuildEnv ci/old"}});
  start();
  pass(hours(3));
  EXPECT_TRUE(there(kNew));
  EXPECT_TRUE(there(kOld));

  // The environment of one is deleted, but a pod runs with it.
  publish("csi-1", kOld);
  cluster_.need({{kNew, "GoBuildEnv ci/new"}});
  collection_->changed();
  pass(hours(3));
  EXPECT_TRUE(there(kOld));

  ASSERT_TRUE(registry_->remove("csi-1"));
  collection_->changed();
  pass(minutes(50));
  EXPECT_TRUE(there(kOld)) << "its age counts from its last use";
  pass(minutes(30));
  wait_until("the old toolchain to go", [this] { return !there(kOld); });
  EXPECT_TRUE(there(kNew));
  wait_until("the news", [this] { return collection_->latest()->freed_total.inodes > 0; });

  const auto state = collection_->latest();
  ASSERT_EQ(state->inventory.units.size(), 1U);
  EXPECT_EQ(state->inventory.units[0].path, kNew);
  EXPECT_EQ(state->kinds[0].units, 1U);
  EXPECT_GT(state->freed_last.bytes, 0U);
  EXPECT_FALSE(state->problem);
  EXPECT_GE(trashed_, 1);
  EXPECT_GE(changes_, 2);
  const std::string text = metrics_.text();
  for (const char* line :
       {"gobuildenv_collector_collected_units_total{kind=\"toolchain\"} 1\n",
        "gobuildenv_cache_units{kind=\"toolchain\"} 1\n", "gobuildenv_collector_failures_total 0\n",
        "gobuildenv_collector_short_of_space 0\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST_F(Collecting, AgesSurviveARestart) {
  start();
  pass(minutes(40));
  collection_.reset();
  open();
  collection_->start();
  EXPECT_TRUE(there(kOld));
  pass(minutes(35));
  wait_until("both to go", [this] { return !there(kOld) && !there(kNew); });
}

TEST_F(Collecting, AClockSetBackAYearNeitherAgesNorRejuvenates) {
  start();
  pass(minutes(40));
  clock_.jump_wall(seconds(-kYear));
  pass(minutes(10));
  EXPECT_TRUE(there(kOld));
  pass(minutes(20));
  wait_until("both to go", [this] { return !there(kOld) && !there(kNew); });
}

TEST_F(Collecting, AClockSetForwardAYearTakesNothing) {
  start();
  clock_.jump_wall(seconds(kYear));
  pass(minutes(50));
  EXPECT_TRUE(there(kOld));
  EXPECT_TRUE(there(kNew));
}

TEST_F(Collecting, AUseThatIsReportedCounts) {
  start();
  pass(minutes(50));
  collection_->used(kOld);
  collection_->changed();
  pass(minutes(30));
  wait_until("the unused one to go", [this] { return !there(kNew); });
  EXPECT_TRUE(there(kOld));
}

TEST_F(Collecting, ALeaseKeepsAToolchainThatIsNotMountedYet) {
  start();
  {
    const auto lease = leases_.take("toolchains/go1.21.6.linux-amd64", "about to be mounted");
    pass(hours(3));
    EXPECT_TRUE(there(kOld));
    EXPECT_FALSE(there(kNew));
  }
  collection_->changed();
  pass(hours(2));
  wait_until("it to go", [this] { return !there(kOld); });
}

TEST_F(Collecting, NothingGoesWhileTheClusterIsNotKnown) {
  limits_.node.unused_for = seconds(0);
  limits_.min_idle = seconds(0);
  cluster_.is_known = false;
  open();
  collection_->start();
  pass(hours(3));
  EXPECT_TRUE(there(kOld));
  EXPECT_FALSE(last_run());
  wait_until("sizes", [this] { return collection_->latest() != nullptr; });
  EXPECT_EQ(collection_->latest()->kinds[0].units, 2U);  // measured all the same
  cluster_.is_known = true;
  pass(minutes(1));
  wait_until("both to go", [this] { return !there(kOld) && !there(kNew); });
}

TEST_F(Collecting, AFullDiskIsRelievedByWhatWasKnownBeforeARestart) {
  cluster_.need({{kNew, "GoBuildEnv ci/new"}});
  start();
  wait_until("the file", [this] { return there("collector.json"); });
  start_alone();
  wait_until("the old toolchain to go", [this] { return !there(kOld); });
  EXPECT_TRUE(there(kNew));
  EXPECT_EQ(runs(), 1) << "an API server that does not answer is not asked";

  // Once it answers, it says.
  cluster_.need({});
  cluster_.is_known = true;
  collection_->changed();
  pass(minutes(20));
  wait_until("the other one to go, too", [this] { return !there(kNew); });
}

TEST_F(Collecting, APodThatWasNotKnownMayNeedAnything) {
  cluster_.need({{kNew, "GoBuildEnv ci/new"}});
  start();
  wait_until("the file", [this] { return there("collector.json"); });
  // It came after the last look at the cluster; its volumes have no records yet.
  fs::create_directories(at("kubelet-pods/pod-2"));
  write_file(at("pods/csi-9/upper/x"), "of a volume that is gone");
  write_file(at("caches/uid/env/mod/lower/1/x"), "x");
  start_alone();
  wait_until("the pod's own layer to go", [this] { return !there("pods/csi-9"); });
  EXPECT_TRUE(there(kOld));
  EXPECT_TRUE(there("caches/uid/env/mod/lower/1/x"));
  fs::remove_all(at("kubelet-pods/pod-2"));
  pass(minutes(20));
  wait_until("the old toolchain to go", [this] { return !there(kOld); });
  EXPECT_TRUE(there(kNew));
}

TEST_F(Collecting, NothingIsKnownOfTheFirstStartOrOfADamagedFile) {
  for (const char* facts : {"", "{\"version\":1}"}) {
    if (*facts != '\0') write_file(at("collector.json"), facts);
    write_file(at("pods/csi-9/upper/x"), "of a volume that is gone");
    publish("csi-8", "pods/csi-8/upper");
    write_file(at("pods/csi-8/upper/x"), "of one that is published");
    start_alone();
    wait_until("the pod's own layer to go", [this] { return !there("pods/csi-9"); });
    EXPECT_TRUE(there(kOld));
    EXPECT_TRUE(there(kNew));
    EXPECT_TRUE(there("pods/csi-8/upper/x"));
    ASSERT_TRUE(registry_->remove("csi-8"));
  }
}

TEST_F(Collecting, WhatAnUnknownPodMayNeedGrowsOlder) {
  const OfflineNeeds nothing_known(folder_.path(), at("kubelet-pods"));
  const auto roots = nothing_known.roots();
  ASSERT_EQ(roots.size(), 2U);
  for (const collector::Root& root : roots) EXPECT_FALSE(root.in_use) << root.path;
  EXPECT_THAT(roots[0].why, HasSubstr("not known"));
  start();
  wait_until("the file", [this] { return there("collector.json"); });
  const OfflineNeeds no_folders(folder_.path(), at("not-there"));
  EXPECT_THAT(no_folders.roots().at(1).why, HasSubstr("not-there"));
}

TEST_F(Collecting, LeavesItsLimitsAndRootsForThoseWhoExplain) {
  cluster_.need({{kNew, "GoBuildEnv ci/new"}});
  const auto lease = leases_.take(kOld, "a lease");
  start();
  wait_until("the file", [this] { return there("collector.json"); });
  const auto facts = collector::parse_agent_facts(read_file(at("collector.json")));
  ASSERT_TRUE(facts) << facts.error();
  EXPECT_EQ(facts->limits.node.unused_for, hours(1));
  EXPECT_EQ(facts->limits.high_percent, 100U);
  ASSERT_EQ(facts->roots.size(), 2U);
  EXPECT_EQ(facts->roots[0].why, "a lease");
  EXPECT_EQ(facts->roots[1].path, kNew);
}

TEST_F(Collecting, WhatAVolumeUsesCannotBeTakenAway) {
  // The one way in which a removal happens; the decision before it may be as old as it likes.
  const CollectionEdges edges{clock_, metrics_, *registry_, leases_, nullptr, {}};
  const OfflineNeeds offline(folder_.path(), at("kubelet-pods"));
  AgentRoots roots(edges, offline);
  int taken = 0;
  EXPECT_TRUE(roots.if_unused(kOld, [&] { ++taken; }));
  publish("csi-1", kOld);
  EXPECT_FALSE(roots.if_unused(kOld, [&] { ++taken; }));
  EXPECT_EQ(taken, 1);
}

TEST_F(Collecting, StartsAndStopsAtAnyMoment) {
  for (int i = 0; i < 20; ++i) {
    open();
    collection_->start();
    std::thread elsewhere([this] {
      for (int n = 0; n < 20; ++n) {
        collection_->changed();
        collection_->used(kOld);
        static_cast<void>(collection_->latest());
      }
    });
    clock_.advance(seconds(i));
    elsewhere.join();
    collection_->stop();
    collection_->stop();
  }
  EXPECT_TRUE(there(kOld));
}

TEST_F(Collecting, RefusesLimitsThatContradictEachOther) {
  CollectionOptions options;
  options.root = folder_.path();
  options.limits.high_percent = 50;
  const auto refused =
      Collection::open(std::move(options), {clock_, metrics_, *registry_, leases_, nullptr, {}});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error(), HasSubstr("low is 70 %"));
}

TEST(AgentFacts, SurviveTheFile) {
  collector::AgentFacts facts;
  facts.written_at = 17;
  facts.last_known = {{"pod-1", "pod-2"}, {{"toolchains/go1.22.3.linux-amd64", "GoBuildEnv a/b"}}};
  facts.limits.environments["u/e"] = {hours(2), 3};
  facts.limits.order = collector::Order::LeastRecentlyUsed;
  facts.limits.longest_build = minutes(3);
  facts.roots = {{"toolchains/a", "because"}};
  const auto read = collector::parse_agent_facts(to_json(facts));
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(to_json(*read), to_json(facts));
  EXPECT_EQ(read->limits.of("u/e").max_bytes, 3U);
  for (const char* text : {"", "[]", "{}", R"({"writtenAt":1,"limits":{},"roots":[]})"}) {
    EXPECT_FALSE(collector::parse_agent_facts(text)) << text;
  }
}

}  // namespace
}  // namespace gobuildenv::agent
