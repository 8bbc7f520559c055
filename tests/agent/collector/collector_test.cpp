#include "agent/collector/collector.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <ctime>
#include <functional>
#include <map>
#include <new>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "agent/collector/trash_emptier.hpp"
#include "tests/agent/collector/node_root.hpp"
#include "tests/agent/die_after.hpp"

namespace gobuildenv::agent::collector {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using testing::everything_goes;
using testing::exists;
using testing::expect_sound;
using testing::FixedRoots;
using testing::kBuilds;
using testing::kModules;
using testing::kToolchain;
using testing::make_build;
using testing::NodeRoot;
using testing::open_collector;
using testing::TempFolder;
using testing::TestClock;
using testing::without_watermarks;
using testing::write_file;

class Collecting : public ::testing::Test {
 protected:
  Collecting() : root_(folder_.path("root")) {
    // The agent has been watching for ten hours.
    static_cast<void>(open().run(all_rooted(), without_watermarks()));
    clock_.pass(hours(10));
    root_.fill();  // build entries as they are stamped in between
  }
  static FixedRoots all_rooted() { return FixedRoots({Root{"", "everything"}}); }
  Collector open(StepHook hook = {}) const {
    return open_collector(root_.path(), clock_, std::move(hook)).value();
  }
  std::map<std::string, std::string> listing() const {
    std::map<std::string, std::string> out;
    for (const auto& entry : fs::recursive_directory_iterator(root_.path())) {
      out[entry.path()] = entry.is_regular_file() ? testing::read_file(entry.path()) : "";
    }
    return out;
  }

  TempFolder folder_;
  TestClock clock_;
  NodeRoot root_;
};

TEST_F(Collecting, EverythingUnusedGoesWhatIsInUseStays) {
  FixedRoots roots;
  roots.held = {{std::string(kModules) + "/keep.example/k@v1.0.0", "a lease"}};
  const auto report = open().run(roots, everything_goes());
  ASSERT_TRUE(report.has_value()) << report.error();
  EXPECT_EQ(report->failures, 0U);
  EXPECT_FALSE(report->problem.has_value()) << report->problem->second;
  EXPECT_FALSE(exists(root_.at(kToolchain)));
  EXPECT_FALSE(exists(root_.at("caches/ns/env/mod/lower/1")));
  EXPECT_FALSE(exists(root_.at(kModules) + "/example.com/a@v1.0.0"));
  EXPECT_TRUE(exists(root_.at(kModules) + "/keep.example/k@v1.0.0"));
  EXPECT_EQ(report->outcomes.size(), 6U);
  const auto again = open().run(roots, everything_goes());
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->inventory.units.size(), 1U);
  EXPECT_GT(again->inventory.trash.inodes, 200U);
}

TEST_F(Collecting, ADryRunChangesNothing) {
  const auto before = listing();
  const auto report = open().dry_run({}, everything_goes());
  ASSERT_TRUE(report.has_value()) << report.error();
  EXPECT_EQ(report->plan.steps.size(), 7U);
  EXPECT_EQ(listing(), before);
}

TEST_F(Collecting, VolumesOnDiskAreRoots) {
  const auto record = [&](const std::string& id, const std::string& text) {
    write_file(root_.at("volumes/" + id + ".json"), text);
  };
  record("csi-1", R"({"source":"toolchains/go1.22.3.linux-amd64/h1-x/goroot",
                      "pod":{"namespace":"ci","name":"build-7"}})");
  auto report = open().dry_run({}, everything_goes());
  ASSERT_TRUE(report.has_value());
  const auto stays = std::find_if(report->plan.stays.begin(), report->plan.stays.end(),
                                  [](const Decision& d) { return d.reason == Reason::Rooted; });
  ASSERT_NE(stays, report->plan.stays.end());
  EXPECT_EQ(stays->detail, "volume csi-1 of pod ci/build-7");
  record("csi-1", R"({"source":"toolchains/go1.21.6.linux-amd64/h1-y/goroot",
                      "newer":["toolchains/go1.22.3.linux-amd64/h1-x/goroot"]})");
  report = open().dry_run({}, everything_goes());
  ASSERT_TRUE(report.has_value());
  EXPECT_TRUE(std::any_of(report->plan.stays.begin(), report->plan.stays.end(), [&](const auto& d) {
    return d.reason == Reason::Rooted && report->inventory.units[d.unit].path == kToolchain;
  })) << "mounted inside another one";
  for (const char* damaged :
       {"", "{", "{}", R"({"source":7})", R"({"source":""})", R"({"source":"a","newer":7})"}) {
    record("csi-2", damaged);
    report = open().dry_run({}, everything_goes());
    ASSERT_TRUE(report.has_value());
    EXPECT_TRUE(report->plan.steps.empty()) << damaged;
  }
}

/// A volume is published after the plan was made.
TEST_F(Collecting, RootsAreAskedAgainBeforeEachRemoval) {
  struct Late final : RootSource {
    mutable int asked = 0;
    std::vector<Root> roots() const override {
      if (asked++ == 0) return {};
      return {{kToolchain, "volume csi-9"}};
    }
  } roots;
  const auto report = open().run(roots, everything_goes());
  ASSERT_TRUE(report.has_value());
  EXPECT_TRUE(exists(root_.at(kToolchain)));
  EXPECT_EQ(std::count_if(report->outcomes.begin(), report->outcomes.end(),
                          [](const Outcome& o) { return o.result == Removal::InUse; }),
            1);
}

TEST_F(Collecting, AgesSurviveARestartAndTheClock) {
  Limits limits = everything_goes();
  limits.node.unused_for = hours(168);
  const FixedRoots none;
  const auto idle = [&] { return open().ages().idle(kToolchain); };
  static_cast<void>(open().run(none, limits));
  EXPECT_EQ(idle(), hours(10));
  clock_.wall -= 365 * 86'400;
  clock_.pass(hours(1));
  static_cast<void>(open().run(none, limits));
  EXPECT_EQ(idle(), hours(11));
  clock_.wall += 2 * 365 * 86'400;
  clock_.pass(hours(1));
  static_cast<void>(open().run(none, limits));
  EXPECT_EQ(idle(), hours(12));
  EXPECT_TRUE(exists(root_.at(kToolchain)));
  EXPECT_TRUE(exists(root_.at(kModules) + "/example.com/a@v1.0.0"));
  EXPECT_TRUE(exists(root_.at(kBuilds) + "/00/" + testing::hash_of("00aa0") + "-a"));
  clock_.pass(hours(156));
  static_cast<void>(open().run(none, limits));
  EXPECT_FALSE(exists(root_.at(kToolchain)));
}

TEST_F(Collecting, LostAgesDeleteNothing) {
  Limits limits = without_watermarks();
  limits.node.unused_for = hours(5);
  for (const char* damaged : {"", "{\"segments\":"}) {
    write_file(root_.at("ages.json"), damaged);
    const auto report = open().run(FixedRoots(), limits);
    ASSERT_TRUE(report.has_value());
    EXPECT_TRUE(report->plan.steps.empty());
  }
}

TEST_F(Collecting, OnlyOneAtATime) {
  Collector inner = open();
  bool refused = false;
  static_cast<void>(open([&](std::string_view step) {
                      if (step != "ages-saved") return;
                      refused = !inner.run(FixedRoots(), everything_goes()).has_value();
                    }).run(FixedRoots(), everything_goes()));
  EXPECT_TRUE(refused);
}

TEST_F(Collecting, LeasesAreRoots) {
  Leases leases;
  std::vector<Root> roots;
  {
    const auto lease = leases.take(kToolchain, "being mounted");
    leases.append_to(roots);
    ASSERT_EQ(roots.size(), 1U);
    EXPECT_EQ(roots[0].path, kToolchain);
  }
  roots.clear();
  leases.append_to(roots);
  EXPECT_TRUE(roots.empty());
}

TEST_F(Collecting, ARootThatIsNotThere) {
  const auto out = Collector::open({.root = folder_.path("nowhere")});
  ASSERT_FALSE(out.has_value());
  EXPECT_NE(out.error().find("nowhere: No such file or directory; want the folder"),
            std::string::npos);
}

/// Collects and empties in a child.
[[noreturn]] void collect_in_child(const std::string& root, const TestClock& clock,
                                   const StepHook& hook, const Limits& limits = everything_goes()) {
  FixedRoots roots;
  roots.held = {{std::string(kModules) + "/keep.example/k@v1.0.0", "a lease"}};
  const auto report = open_collector(root, clock, hook)->run(roots, limits);
  std::atomic<bool> stop = false;
  const auto trash = Trash::open(testing::open_path(root));
  static_cast<void>(empty_trash(*trash, {}, stop, hook));
  ::_exit(report.has_value() && report->failures == 0 ? 0 : 1);
}

/// Memory that children write to as well.
template <class T>
class Shared {
 public:
  Shared()
      : page_(
            ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (page_ == MAP_FAILED) throw std::bad_alloc();
    value_ = new (page_) T{};
  }
  ~Shared() { ::munmap(page_, sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  T& operator*() const { return *value_; }
  T* operator->() const { return value_; }

 private:
  void* page_;
  T* value_ = nullptr;
};

/// Says no at the last moment, as the registry does when a volume was published meanwhile.
struct LateUse final : RootSource {
  mutable std::vector<std::string> asked;
  bool stops = false;
  std::vector<Root> roots() const override { return {}; }
  bool stopping() const override { return stops; }
  bool if_unused(const std::string& path, const std::function<void()>& /*act*/) const override {
    asked.push_back(path);
    return false;
  }
};

TEST_F(Collecting, AUseAtTheLastMomentKeepsTheUnit) {
  const LateUse source;
  Limits limits = everything_goes();
  limits.longest_build =
      hours(100);  // entries of a build cache are asked about one shard at a time
  const auto report = open().run(source, limits);
  ASSERT_TRUE(report) << report.error();
  EXPECT_EQ(report->freed, Totals());
  for (const Outcome& outcome : report->outcomes) EXPECT_EQ(outcome.result, Removal::InUse);
  EXPECT_TRUE(exists(root_.at(kToolchain)));
  EXPECT_TRUE(exists(root_.at(kModules) + "/example.com/a@v1.0.0"));
  // Of what lives in a cache, volumes use the cache.
  EXPECT_EQ(std::count(source.asked.begin(), source.asked.end(), kToolchain), 1);
  EXPECT_EQ(std::count(source.asked.begin(), source.asked.end(), kModules), 4);
}

TEST_F(Collecting, StoppedItTakesNothingAndForgetsNoAge) {
  LateUse source;
  source.stops = true;
  Collector collector = open();
  const auto report = collector.run(source, everything_goes());
  ASSERT_TRUE(report) << report.error();
  EXPECT_GT(report->outcomes.size(), 4U);
  EXPECT_EQ(report->freed, Totals());
  EXPECT_GE(collector.ages().idle(kToolchain), hours(10));
}

TEST_F(Collecting, ALayerThatAVolumeHasMountedIsKept) {
  write_file(root_.at("volumes/csi-1.json"),
             std::string(R"({"source":"pods/csi-1/upper","lower":")") + kModules + R"("})");
  const auto report = open().run(FixedRoots(), everything_goes());
  ASSERT_TRUE(report) << report.error();
  EXPECT_TRUE(exists(root_.at(kModules) + "/example.com/a@v1.0.0"));
  EXPECT_FALSE(exists(root_.at(kToolchain)));
}

TEST_F(Collecting, CachesOfNobodyGoWholeWhenTheyAreOld) {
  Limits limits = everything_goes();
  limits.node.unused_for = hours(5);
  limits.environments_complete = true;
  Collector collector = open();
  const auto run = [&] {
    const auto report = collector.run(FixedRoots(), limits);
    ASSERT_TRUE(report) << report.error();
  };
  run();
  EXPECT_TRUE(exists(root_.at(kModules))) << "known to be nobody's only since now";
  clock_.pass(hours(3));
  static_cast<void>(collector.measure({}, limits));
  // Somebody made a GoBuildEnv whose namespace is not known yet: nobody's they are all the same.
  Limits unknown = limits;
  unknown.environments_complete = false;
  static_cast<void>(collector.measure({}, unknown));
  clock_.pass(hours(3));
  run();
  EXPECT_FALSE(exists(root_.at(kModules)));
  EXPECT_FALSE(exists(root_.at(kBuilds)));
}

TEST_F(Collecting, SaysHowLongAgoACacheWasHad) {
  Collector collector = open();
  const auto idle = [&] {
    const Inventory seen = collector.measure({}, without_watermarks());
    EXPECT_EQ(seen.cache_idle.size(), 1U) << "of both layers, the younger";
    EXPECT_TRUE(seen.environments.contains(seen.cache_idle.begin()->first));
    return seen.cache_idle.begin()->second;
  };
  const seconds first = idle();
  clock_.pass(hours(2));
  EXPECT_EQ(idle(), first + hours(2));
  collector.used(kModules);
  EXPECT_EQ(idle(), seconds(0));
}

/// The entries of one cache are several units, by the hour of their last use, and go in one step.
TEST_F(Collecting, BuildEntriesThatStayAreNotSaidToHaveGone) {
  struct Stopping final : RootSource {
    std::vector<Root> roots() const override { return {}; }
    bool stopping() const override { return true; }
  };
  make_build(root_.at(kBuilds), "0a", "f1", clock_.wall - 12 * 3600);
  make_build(root_.at(kBuilds), "0b", "f2", clock_.wall - 15 * 3600);
  Collector collector = open();
  const auto ends = [&](const RootSource& source) {
    const auto report = collector.run(source, everything_goes());
    std::vector<Removal> out;
    for (std::size_t i = 0; report && i < report->outcomes.size(); ++i) {
      const Unit& unit = report->inventory.units[report->plan.steps[i].unit];
      if (unit.kind == UnitKind::Builds) out.push_back(report->outcomes[i].result);
    }
    EXPECT_GE(out.size(), 2U);
    return out;
  };
  EXPECT_THAT(ends(Stopping()), ::testing::Each(Removal::InUse));
  fs::create_directory_symlink(root_.at("toolchains"), root_.at(kBuilds) + "/0d");
  EXPECT_THAT(ends(FixedRoots()), ::testing::Each(Removal::Failed));
  fs::remove(root_.at(kBuilds) + "/0d");
  EXPECT_THAT(ends(FixedRoots()), ::testing::Each(Removal::Done));
}

TEST_F(Collecting, WhatWaitsToBeSharedIsCountedAndGoesWhenItIsStuck) {
  write_file(root_.at("promotions/csi-1/upper/cache/x"), std::string(100'000, 'x'));
  write_file(root_.at("promotions/csi-1/record.json"), "{}");
  Collector collector = open();
  const Limits limits = without_watermarks();
  const auto first = collector.run(FixedRoots{}, limits);
  ASSERT_TRUE(first) << first.error();
  const auto unit = std::find_if(first->inventory.units.begin(), first->inventory.units.end(),
                                 [](const Unit& one) { return one.path == "promotions/csi-1"; });
  ASSERT_NE(unit, first->inventory.units.end());
  EXPECT_EQ(unit->kind, UnitKind::Promotion);
  EXPECT_GE(unit->size.bytes, 100'000U);
  EXPECT_TRUE(exists(root_.at("promotions/csi-1/record.json")));

  clock_.pass(hours(23));
  ASSERT_TRUE(collector.run(FixedRoots{}, limits));
  EXPECT_TRUE(exists(root_.at("promotions/csi-1"))) << "the API server may have been away";
  clock_.pass(hours(2));
  const auto folder = open_trusted_folder(root_.path()).value();
  {
    const auto held = hold_folder(folder.get(), "promotions/csi-1");
    ASSERT_TRUE(held);
    const auto busy = collector.run(FixedRoots{}, limits);
    ASSERT_TRUE(busy);
    EXPECT_EQ(busy->failures, 0U);
    EXPECT_TRUE(exists(root_.at("promotions/csi-1"))) << "a layer is being made of it";
  }
  const auto last = collector.run(FixedRoots{}, limits);
  ASSERT_TRUE(last);
  EXPECT_FALSE(exists(root_.at("promotions/csi-1")));
  const auto step = std::find_if(last->plan.steps.begin(), last->plan.steps.end(),
                                 [](const Decision& one) { return one.reason == Reason::Stuck; });
  ASSERT_NE(step, last->plan.steps.end());
  EXPECT_NE(explain(*step, last->inventory, limits, last->disk).find("waits for"),
            std::string::npos);
  EXPECT_FALSE(hold_folder(folder.get(), "promotions/csi-1"));
}

TEST_F(Collecting, WhatIsKeptWithoutBeingInUseGrowsOlder) {
  Limits limits = without_watermarks();
  limits.node.unused_for = hours(5);
  const auto kept = open().run(FixedRoots({Root{"toolchains", "it may be needed", false}}), limits);
  ASSERT_TRUE(kept);
  EXPECT_TRUE(exists(root_.at(kToolchain)));
  const auto next = open().run(FixedRoots{}, limits);
  ASSERT_TRUE(next);
  EXPECT_FALSE(exists(root_.at(kToolchain))) << "ten hours old by now";
}

TEST_F(Collecting, CachesOfAnEnvironmentAreNoUnit) {
  Limits limits = everything_goes();
  limits.environments_complete = true;
  limits.environments["ns/env"] = limits.node;
  const auto report = open().run(FixedRoots(), limits);
  ASSERT_TRUE(report) << report.error();
  EXPECT_TRUE(exists(root_.at(kModules) + "/cache/download/example.com/a/@v/v1.0.0.lock"));
}

/// Kills a run at every step in turn, and at every fortieth entry of the trash, which are alike,
/// until one finishes. `prepare` comes before each; gives the steps that were died at.
std::set<std::string> kill_at_every_step(const NodeRoot& root, const TestClock& clock,
                                         const Limits& limits,
                                         const std::function<void()>& prepare) {
  constexpr int kMostTurns = 400;
  const Shared<std::array<char, 32>> last;
  std::set<std::string> died_at;
  bool finished = false;
  for (int at = 1; !finished && at < kMostTurns; ++at) {
    root.fill();
    prepare();
    const pid_t child = ::fork();
    if (child == 0) {
      int left = at;
      int entries = 0;
      const auto die = [&](std::string_view step) {
        if (step == "entry" && entries++ % 40 != 0) return;
        if (--left > 0) return;
        last->fill('\0');
        step.copy(last->data(), last->size() - 1);
        ::raise(SIGKILL);
      };
      collect_in_child(root.path(), clock, die, limits);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    expect_sound(root);
    finished = WIFEXITED(status);
    if (finished) {
      EXPECT_EQ(WEXITSTATUS(status), 0);
    } else {
      died_at.insert(last->data());
    }
  }
  EXPECT_TRUE(finished);
  EXPECT_TRUE(fs::is_empty(root.at("trash")));
  return died_at;
}

TEST_F(Collecting, KilledAtEveryStep) {
  const std::string clone = root_.at(kModules) + "/cache/vcs/" + testing::hash_of("c1");
  const auto clone_is_whole_or_gone = [&] {
    if (!exists(clone)) return;
    EXPECT_TRUE(exists(clone + "/HEAD") && exists(clone + "/objects/pack")) << "a part of it";
    EXPECT_TRUE(exists(clone + ".info")) << "go asks it whose clone this is";
  };
  write_file(clone + ".lock", "");
  const auto died_at = kill_at_every_step(root_, clock_, everything_goes(), [&] {
    clone_is_whole_or_gone();  // what the last one left
    for (const char* part : {"/HEAD", "/objects/pack", ".info"}) write_file(clone + part, "x");
  });
  clone_is_whole_or_gone();
  EXPECT_TRUE(exists(clone + ".lock"));
  EXPECT_EQ(died_at,
            (std::set<std::string>{
                "ages-saved", "build-action", "build-actions-done", "build-output", "entry",
                "file-renamed", "file-written", "folder-renamed", "module-done", "module-partial",
                "module-renamed", "module-zip", "module-ziphash", "vcs-done", "vcs-renamed"}));
}

/// The first tier: where room is short, zips go and the modules stay.
TEST_F(Collecting, KilledWhileZipsGo) {
  Limits limits = without_watermarks();
  limits.min_idle = seconds(0);
  const std::string download = root_.at(kModules) + "/cache/download/";
  const auto refill = [&] {
    fs::remove_all(root_.at("caches/ns/env/mod/lower/1"));  // it would go before, and give room
    for (const char* name : {"example.com/a", "example.com/b", "example.com/b/v2"}) {
      write_file(download + name + "/@v/v1.0.0.zip", std::string(200, 'z'));
    }
  };
  refill();
  const auto found = open().dry_run({}, limits);
  ASSERT_TRUE(found) << found.error();
  const auto zip = std::find_if(found->inventory.units.begin(), found->inventory.units.end(),
                                [](const Unit& unit) { return unit.zip_bytes > 0; });
  ASSERT_NE(zip, found->inventory.units.end());
  // Two zips are not enough.
  limits.environments["ns/env"] = {
      hours(1000), found->inventory.environments.at("ns/env").bytes - 2 * zip->zip_bytes - 1};
  const auto died_at = kill_at_every_step(root_, clock_, limits, refill);
  EXPECT_EQ(died_at,
            (std::set<std::string>{"ages-saved", "file-renamed", "file-written", "zip-removed"}));
  for (const char* name : {"example.com/a", "example.com/b", "example.com/b/v2"}) {
    EXPECT_FALSE(exists(download + name + "/@v/v1.0.0.zip")) << name;
    EXPECT_TRUE(exists(download + name + "/@v/v1.0.0.ziphash")) << name;
    EXPECT_TRUE(exists(root_.at(kModules) + "/" + name + "@v1.0.0/go.mod")) << name;
  }
}

/// Counts only kills that came while there was still something to do: turns until there are 250.
TEST_F(Collecting, KilledAtRandomTimes) {
  constexpr int kKills = 250;
  constexpr int kMostTurns = 20 * kKills;
  std::mt19937 random(20);
  int killed = 0;
  std::int64_t whole = 6000;  // microseconds a run needs that nobody kills, about
  bool finished = true;
  for (int turn = 0; killed < kKills && turn < kMostTurns && !HasFailure(); ++turn) {
    if (finished) root_.fill();
    const std::chrono::microseconds life(random() % static_cast<std::uint64_t>(whole));
    const pid_t child = ::fork();
    if (child == 0) {
      agent::testing::die_after(life);
      collect_in_child(root_.path(), clock_, {});
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    // The trash is emptied last, and what goes before is in it.
    finished = !exists(root_.at(kToolchain)) && fs::is_empty(root_.at("trash"));
    killed += finished ? 0 : 1;
    // Later when it is killed too early to get anywhere, earlier when it is done before.
    whole = std::clamp<std::int64_t>(finished ? whole * 9 / 10 : whole * 21 / 20, 500, 200'000);
    expect_sound(root_);
  }
  EXPECT_EQ(killed, kKills) << "the others found nothing left to do";
}

/// Runs `body` in a child with mounts of its own; its result is the child's exit code, 77 when
/// there can be no such child.
int with_own_mounts(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      ::_exit(77);
    }
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

TEST_F(Collecting, AFullDiskIsWhereItIsNeeded) {
  const int code = with_own_mounts([this] {
    const std::string place = folder_.path("small");
    fs::create_directory(place);
    if (::mount("none", place.c_str(), "tmpfs", 0, "size=2m,nr_inodes=700") != 0) return 77;
    const NodeRoot root(place);
    Collector collector = open_collector(place, clock_).value();
    if (!collector.run(all_rooted(), everything_goes())) return 2;
    clock_.pass(hours(10));
    for (int i = 0; i < 2000; ++i) {  // until neither a block nor an inode is left
      const Fd fd(::open((place + "/fill" + std::to_string(i)).c_str(), O_CREAT | O_WRONLY, 0600));
      if (!fd) break;
      const std::string block(4096, 'x');
      while (::write(fd.get(), block.data(), block.size()) > 0) {
      }
    }
    const auto report = collector.run(FixedRoots(), everything_goes());
    if (!report) return 3;
    if (!report->problem || report->problem->first != "DiskFull") return 4;
    if (report->failures != 0) return 5;
    if (exists(root.at(kToolchain)) || exists(root.at(kModules) + "/example.com/a@v1.0.0"))
      return 6;
    return 0;
  });
  if (code == 77) GTEST_SKIP() << "needs root to mount a small file system";
  EXPECT_EQ(code, 0);
}

TEST_F(Collecting, AReadOnlyFileSystemIsReported) {
  const int code = with_own_mounts([this] {
    if (::mount(root_.path().c_str(), root_.path().c_str(), nullptr, MS_BIND, nullptr) != 0) {
      return 77;
    }
    Collector collector = open();
    if (::mount(nullptr, root_.path().c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY,
                nullptr) != 0) {
      return 77;
    }
    Collector readonly = open();
    const auto report = readonly.run(FixedRoots(), everything_goes());
    if (!report) return 3;
    if (!report->problem || report->problem->first != "ReadOnlyFileSystem") return 4;
    return report->outcomes.empty() ? 0 : 5;
  });
  if (code == 77) GTEST_SKIP() << "needs root to mount";
  EXPECT_EQ(code, 0);
  EXPECT_TRUE(exists(root_.at(kToolchain)));
}

}  // namespace
}  // namespace gobuildenv::agent::collector
