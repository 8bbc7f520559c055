#include "agent/collector/remove.hpp"

#include <gtest/gtest.h>
#include <sys/file.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <iterator>
#include <utility>

#include "agent/collector/remove_builds.hpp"
#include "tests/agent/collector/fixture.hpp"

namespace gobuildenv::agent::collector {
namespace {

namespace fs = std::filesystem;
using testing::exists;
using testing::make_build;
using testing::make_module;
using testing::open_path;
using testing::TempFolder;
using testing::write_file;

const InUseNow kFree = [] { return false; };
const InUseNow kUsed = [] { return true; };

class Remove : public ::testing::Test {
 protected:
  Remove() : root_(open_path(folder_.path())), trash_(Trash::open(root_).value()) {
    make_module(cache_, "example.com/one", "v1.0.0");
    make_module(cache_, "example.com/two", "v1.0.0");
  }
  Fd cache() const { return open_path(cache_); }
  std::size_t trashed() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_.path("trash")), fs::directory_iterator()));
  }

  TempFolder folder_;
  std::string cache_ = folder_.path("mod");
  std::string stem_ = cache_ + "/cache/download/example.com/one/@v/v1.0.0";
  Fd root_;
  Trash trash_;
};

TEST_F(Remove, AModuleGoesWhole) {
  std::vector<std::string> steps;
  const auto result =
      remove_module(cache(), "example.com/one@v1.0.0", trash_, kFree, [&](std::string_view name) {
        steps.emplace_back(name);
        // At no step may go find the folder without .partial beside it.
        EXPECT_TRUE(!exists(cache_ + "/example.com/one@v1.0.0") || exists(stem_ + ".partial"));
      });
  EXPECT_EQ(result.outcome, Removal::Done) << result.error;
  EXPECT_EQ(steps, (std::vector<std::string>{"module-partial", "module-renamed", "module-zip",
                                             "module-ziphash", "module-done"}));
  EXPECT_FALSE(exists(cache_ + "/example.com/one@v1.0.0"));
  for (const char* gone : {".zip", ".ziphash", ".partial"}) EXPECT_FALSE(exists(stem_ + gone));
  for (const char* stays : {".lock", ".info", ".mod"}) EXPECT_TRUE(exists(stem_ + stays)) << stays;
  EXPECT_TRUE(exists(cache_ + "/example.com/two@v1.0.0/go.mod"));
  EXPECT_EQ(trashed(), 1U);
}

/// What is not counted any more is all still there under another name: making room takes no longer
/// for more of it.
TEST_F(Remove, OneRenameHoweverMuchItIs) {
  write_file(folder_.path("toolchains/go1/goroot/bin/go"), "go");
  write_file(cache_ + "/cache/vcs/c1/HEAD", "x");
  const auto look = [](const std::string& path) {
    struct stat raw {};
    EXPECT_EQ(::lstat(path.c_str(), &raw), 0) << path;
    return std::pair(raw.st_ino, std::distance(fs::recursive_directory_iterator(path),
                                               fs::recursive_directory_iterator()));
  };
  const auto check = [&](const std::string& path, const std::function<RemovalResult()>& remove) {
    const auto before = look(path);
    EXPECT_EQ(remove().outcome, Removal::Done) << path;
    const fs::directory_iterator trash(folder_.path("trash"));
    EXPECT_TRUE(std::any_of(fs::begin(trash), fs::end(trash), [&](const auto& entry) {
      return look(entry.path()) == before;
    })) << path;
  };
  check(cache_ + "/example.com/one@v1.0.0",
        [&] { return remove_module(cache(), "example.com/one@v1.0.0", trash_, kFree); });
  check(cache_ + "/cache/vcs/c1",
        [&] { return remove_vcs(cache(), "cache/vcs/c1", trash_, kFree); });
  check(folder_.path("toolchains/go1"),
        [&] { return remove_folder(root_, "toolchains/go1", trash_, kFree); });
}

/// Nobody's go works in a layer, and everybody's is shown it: whatever we die at, the next one
/// finds the module whole or extracts it, and finds no file of root's that it would want to write.
TEST_F(Remove, AModuleOfALayerLeavesNothingOfOurs) {
  fs::remove(stem_ + ".lock");
  std::vector<std::string> steps;
  const auto result =
      remove_module(cache(), "example.com/one@v1.0.0", trash_, kFree, [&](std::string_view name) {
        steps.emplace_back(name);
        EXPECT_FALSE(exists(cache_ + "/example.com/one@v1.0.0"));
        EXPECT_FALSE(exists(stem_ + ".lock") || exists(stem_ + ".partial")) << name;
      });
  EXPECT_EQ(result.outcome, Removal::Done) << result.error;
  EXPECT_EQ(steps, (std::vector<std::string>{"module-renamed", "module-zip", "module-ziphash",
                                             "module-done"}));
  EXPECT_FALSE(exists(stem_ + ".zip") || exists(stem_ + ".ziphash"));
  EXPECT_TRUE(exists(stem_ + ".mod") && exists(stem_ + ".info"));
  EXPECT_FALSE(exists(stem_ + ".lock") || exists(stem_ + ".partial"));
}

TEST_F(Remove, TheZipOfALayerAlone) {
  fs::remove(stem_ + ".lock");
  EXPECT_EQ(remove_zip(cache(), "example.com/one@v1.0.0", kFree).outcome, Removal::Done);
  EXPECT_FALSE(exists(stem_ + ".zip") || exists(stem_ + ".lock"));
}

TEST_F(Remove, GosLockIsRespected) {
  const Fd lock(::open((stem_ + ".lock").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  EXPECT_EQ(remove_module(cache(), "example.com/one@v1.0.0", trash_, kFree).outcome, Removal::Busy);
  EXPECT_EQ(remove_zip(cache(), "example.com/one@v1.0.0", kFree).outcome, Removal::Busy);
  EXPECT_TRUE(exists(stem_ + ".zip"));
  EXPECT_FALSE(exists(stem_ + ".partial"));
}

TEST_F(Remove, ARootThatHasAppearedWins) {
  EXPECT_EQ(remove_module(cache(), "example.com/one@v1.0.0", trash_, kUsed).outcome,
            Removal::InUse);
  EXPECT_EQ(remove_zip(cache(), "example.com/one@v1.0.0", kUsed).outcome, Removal::InUse);
  EXPECT_EQ(remove_folder(root_, "mod", trash_, kUsed).outcome, Removal::InUse);
  EXPECT_TRUE(exists(stem_ + ".zip"));
  EXPECT_EQ(trashed(), 0U);
}

TEST_F(Remove, TheZipAlone) {
  EXPECT_EQ(remove_zip(cache(), "example.com/one@v1.0.0", kFree).outcome, Removal::Done);
  EXPECT_FALSE(exists(stem_ + ".zip"));
  EXPECT_TRUE(exists(stem_ + ".ziphash"));
  EXPECT_EQ(remove_zip(cache(), "example.com/one@v1.0.0", kFree).outcome, Removal::Gone);
}

TEST_F(Remove, TheZipStaysWhereItIsNeeded) {
  write_file(stem_ + ".partial", "");
  EXPECT_EQ(remove_zip(cache(), "example.com/one@v1.0.0", kFree).outcome, Removal::Gone);
  EXPECT_TRUE(exists(stem_ + ".zip"));
  fs::remove(stem_ + ".partial");
  fs::remove(stem_ + ".ziphash");
  EXPECT_EQ(remove_zip(cache(), "example.com/one@v1.0.0", kFree).outcome, Removal::Gone);
  EXPECT_TRUE(exists(stem_ + ".zip"));
}

TEST_F(Remove, ARemovalThatWasInterruptedIsFinished) {
  const std::string stem = cache_ + "/cache/download/example.com/three/@v/v1.0.0";
  const auto interrupt = [&](const std::string& at, bool layer) {
    SCOPED_TRACE(at + (layer ? " in a layer" : ""));
    make_module(cache_, "example.com/three", "v1.0.0");
    if (layer) fs::remove(stem + ".lock");
    struct Stop {};
    EXPECT_THROW(static_cast<void>(remove_module(cache(), "example.com/three@v1.0.0", trash_, kFree,
                                                 [&](std::string_view name) {
                                                   if (name == at) throw Stop();
                                                 })),
                 Stop);
    EXPECT_EQ(remove_module(cache(), "example.com/three@v1.0.0", trash_, kFree).outcome,
              Removal::Done);
    for (const char* gone : {".zip", ".ziphash", ".partial"}) EXPECT_FALSE(exists(stem + gone));
    EXPECT_FALSE(exists(cache_ + "/example.com/three@v1.0.0"));
  };
  for (const char* at : {"module-partial", "module-renamed", "module-zip", "module-ziphash"}) {
    interrupt(at, false);
  }
  for (const char* at : {"module-renamed", "module-zip", "module-ziphash"}) interrupt(at, true);
}

/// A rename that fails, here because the trash is on another file system.
TEST_F(Remove, ADamagedModuleStaysMarkedWhenItCannotGo) {
  const TempFolder elsewhere("/dev/shm");
  const Trash broken = Trash::open(open_path(elsewhere.path())).value();
  for (const bool damaged : {true, false}) {
    SCOPED_TRACE(damaged);
    if (damaged) write_file(stem_ + ".partial", "");
    const auto result = remove_module(cache(), "example.com/one@v1.0.0", broken, kFree);
    EXPECT_EQ(result.outcome, Removal::Failed);
    EXPECT_FALSE(result.error.empty());
    EXPECT_TRUE(exists(cache_ + "/example.com/one@v1.0.0/go.mod"));
    // Without it go would take the folder as it is.
    EXPECT_EQ(exists(stem_ + ".partial"), damaged);
    fs::remove(stem_ + ".partial");
  }
}

TEST_F(Remove, LinksInTheWayAreNotFollowed) {
  const std::string outside = folder_.path("outside");
  write_file(outside + "/v1.0.0.zip", "precious");
  write_file(outside + "/v1.0.0.lock", "");
  // The folder of the lock, a parent of the extracted module, and the lock itself.
  fs::create_directories(cache_ + "/cache/download/example.com/evil");
  fs::create_directory_symlink(outside, cache_ + "/cache/download/example.com/evil/@v");
  EXPECT_EQ(remove_module(cache(), "example.com/evil@v1.0.0", trash_, kFree).outcome,
            Removal::Failed);
  fs::create_directory_symlink(outside, cache_ + "/linked.example");
  write_file(cache_ + "/cache/download/linked.example/m/@v/v1.0.0.zip", "z");
  EXPECT_EQ(remove_module(cache(), "linked.example/m@v1.0.0", trash_, kFree).outcome,
            Removal::Failed);
  fs::remove(stem_ + ".lock");
  fs::create_symlink(outside + "/made", stem_ + ".lock");
  EXPECT_EQ(remove_module(cache(), "example.com/one@v1.0.0", trash_, kFree).outcome,
            Removal::Failed);
  EXPECT_TRUE(exists(outside + "/v1.0.0.zip"));
  EXPECT_FALSE(exists(outside + "/made"));
  EXPECT_EQ(remove_folder(root_, "mod/../outside", trash_, kFree).outcome, Removal::Failed);
  EXPECT_EQ(remove_folder(cache(), "linked.example/v1.0.0.zip", trash_, kFree).outcome,
            Removal::Failed);
}

TEST_F(Remove, AFifoForALockDoesNotHang) {
  fs::remove(stem_ + ".lock");
  ASSERT_EQ(::mkfifo((stem_ + ".lock").c_str(), 0666), 0);
  EXPECT_EQ(remove_module(cache(), "example.com/one@v1.0.0", trash_, kFree).outcome,
            Removal::Failed);
}

TEST_F(Remove, AClone) {
  write_file(cache_ + "/cache/vcs/0123/HEAD", "ref");
  write_file(cache_ + "/cache/vcs/0123.info", "git");
  write_file(cache_ + "/cache/vcs/0123.lock", "");
  EXPECT_EQ(remove_vcs(cache(), "cache/vcs/0123", trash_, kFree).outcome, Removal::Done);
  EXPECT_FALSE(exists(cache_ + "/cache/vcs/0123"));
  EXPECT_FALSE(exists(cache_ + "/cache/vcs/0123.info"));
  EXPECT_TRUE(exists(cache_ + "/cache/vcs/0123.lock"));
}

class RemoveBuilds : public Remove {
 protected:
  using BuildPair = testing::BuildPair;
  static constexpr std::int64_t kHour = 3600;
  BuildRemoval remove(const StepHook& hook = {}, const InUseNow& in_use = kFree) {
    const IdleOf idle = [this](std::int64_t stamp) -> std::optional<seconds> {
      return seconds(now_ - stamp / 1'000'000'000);
    };
    return remove_builds(open_path(builds_), std::chrono::hours(2), trash_, idle, in_use, hook);
  }
  BuildPair make(const std::string& action, const std::string& output, std::int64_t hours_ago) {
    return make_build(builds_, action, output, now_ - hours_ago * kHour);
  }
  std::int64_t now_ = ::time(nullptr);
  std::string builds_ = folder_.path("build");
};

TEST_F(RemoveBuilds, OldPairsGo) {
  const BuildPair old = make("0a", "f1", 3);
  const BuildPair young = make("0b", "f2", 1);
  write_file(builds_ + "/trim.txt", "1");
  const BuildRemoval out = remove();
  EXPECT_EQ(out.actions, 1U);
  EXPECT_EQ(out.outputs, 1U);
  EXPECT_FALSE(exists(old.action) || exists(old.output));
  EXPECT_TRUE(exists(young.action) && exists(young.output));
  EXPECT_TRUE(exists(builds_ + "/trim.txt"));
}

TEST_F(RemoveBuilds, AnOutputStaysWhileAnyActionNamesIt) {
  const BuildPair old = make("0a", "f1", 3);
  const BuildPair young = make("0b", "f1", 1);
  testing::set_times(young.output, now_ - 3 * kHour);
  const BuildRemoval out = remove();
  EXPECT_FALSE(exists(old.action));
  EXPECT_TRUE(exists(young.action) && exists(young.output));
  EXPECT_EQ(out.kept_outputs, 1U);
}

TEST_F(RemoveBuilds, ActionsGoBeforeOutputs) {
  for (int i = 0; i < 40; ++i) {
    make("0" + std::to_string(i % 10) + "aa" + std::to_string(i),
         "f" + std::to_string(i % 7) + "aa", 3);
  }
  bool outputs = false;
  static_cast<void>(remove([&](std::string_view step) {
    if (step == "build-output") outputs = true;
    if (step == "build-action") {
      EXPECT_FALSE(outputs);
    }
  }));
  EXPECT_TRUE(outputs);
}

TEST_F(RemoveBuilds, AUseBetweenListAndUnlinkSaves) {
  const BuildPair first = make("0a", "f1", 3);
  const BuildPair second = make("0b", "f2", 3);
  static_cast<void>(remove([&](std::string_view step) {
    if (step == "build-action" && !exists(first.action)) testing::set_times(second.action, now_);
  }));
  EXPECT_FALSE(exists(first.action));
  EXPECT_TRUE(exists(second.action) && exists(second.output));
}

TEST_F(RemoveBuilds, ANewActionForAnOldOutputSavesIt) {
  const BuildPair old = make("0a", "f1", 3);
  BuildPair fresh;
  static_cast<void>(remove([&](std::string_view step) {
    if (step == "build-actions-done") {
      fresh = make("0c", "f1", 0);
      testing::set_times(old.output, now_ - 3 * kHour);  // go does not touch an output it has
    }
  }));
  EXPECT_TRUE(exists(fresh.action) && exists(fresh.output));
}

/// Kernels with coarse clocks give two changes of a folder one stamp, when they come at once: on a
/// busy machine not at the first try.
TEST_F(RemoveBuilds, ANewActionIsSeenThoughItsFolderBearsTheSameStamp) {
  constexpr int kMostTries = 1000;
  constexpr std::chrono::milliseconds kAtOnce(10);
  const std::string shard = builds_ + "/0b";
  bool at_once = false;
  for (int i = 0; i < kMostTries && !at_once; ++i) {
    make("0b00", "f2", 1);
    const BuildPair old = make("0a", "f1", 3);
    struct stat before {};
    BuildPair fresh;
    ::utimensat(AT_FDCWD, shard.c_str(), nullptr, 0);
    ASSERT_EQ(::stat(shard.c_str(), &before), 0);
    const auto began = std::chrono::steady_clock::now();
    static_cast<void>(remove([&](std::string_view step) {
      if (step == "build-action") at_once = std::chrono::steady_clock::now() - began < kAtOnce;
      if (step != "build-actions-done") return;
      fresh = make("0b11", "f1", 0);
      testing::set_times(old.output, now_ - 3 * kHour);
      const timespec same[2] = {before.st_atim, before.st_mtim};
      ::utimensat(AT_FDCWD, shard.c_str(), same, 0);
    }));
    if (at_once) {
      EXPECT_TRUE(exists(fresh.action) && exists(fresh.output));
    }
    fs::remove(fresh.action);
  }
  EXPECT_TRUE(at_once);
}

TEST_F(RemoveBuilds, ExecutablesGoWhole) {
  const BuildPair old = make("0a", "f1", 3);
  fs::remove(old.output);
  write_file(old.output + "/tool", "binary");
  testing::set_times(old.output, now_ - 3 * kHour);
  EXPECT_EQ(remove().outputs, 1U);
  EXPECT_FALSE(exists(old.output));
  EXPECT_EQ(trashed(), 1U);
}

TEST_F(RemoveBuilds, StopsWhenTheCacheIsUsed) {
  const BuildPair old = make("0a", "f1", 3);
  EXPECT_TRUE(remove({}, kUsed).in_use);
  EXPECT_TRUE(exists(old.action) && exists(old.output));
}

TEST_F(RemoveBuilds, ALinkForAShardIsAnErrorAndNothingGoes) {
  const BuildPair old = make("0a", "f1", 3);
  const std::string outside = folder_.path("outside");
  make_build(outside, "0d", "0d11", now_ - 3 * kHour);
  fs::create_directory_symlink(outside + "/0d", builds_ + "/0d");
  EXPECT_GT(remove().failed, 0U);
  EXPECT_TRUE(exists(outside + "/0d/" + testing::hash_of("0d") + "-a"));
  EXPECT_TRUE(exists(old.output));
}

}  // namespace
}  // namespace gobuildenv::agent::collector
