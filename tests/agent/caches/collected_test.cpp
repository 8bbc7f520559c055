// Layers made over one that the collector took something from, before or meanwhile.
#include <gmock/gmock.h>

#include "agent/collector/remove.hpp"
#include "tests/agent/caches/fixture.hpp"

namespace gobuildenv::agent {
namespace {

using namespace gobuildenv::agent::testing;  // NOLINT(google-build-using-namespace)
using collector::Removal;
using collector::remove_module;
using collector::remove_zip;
using ::testing::Contains;
using ::testing::Key;
using ::testing::Not;

const TestModule kA{
    "example.com/a", "v1.0.0", {{"a.go", "package a\n"}, {"sub/b.go", "package b\n"}}};
const TestModule kB{"example.com/b", "v0.2.0"};
const TestModule kC{"example.com/c", "v0.3.0"};

class Collected : public Layers {
 protected:
  [[nodiscard]] Fd first() { return collector::open_trusted_folder(layer(kModules, 1)).value(); }
  [[nodiscard]] collector::Trash trash() const {
    return collector::Trash::open(collector::open_trusted_folder(root_.path()).value()).value();
  }
  void drop_zip(const TestModule& module) {
    EXPECT_EQ(remove_zip(first(), module.name(), kFree).outcome, Removal::Done);
  }
  void drop(const TestModule& module, const StepHook& hook = {}) {
    EXPECT_EQ(remove_module(first(), module.name(), trash(), kFree, hook).outcome, Removal::Done);
  }
  /// As the trash is emptied.
  void empty_trash() {
    for (const auto& entry : fs::recursive_directory_iterator(root_.path("trash"))) {
      if (entry.is_directory()) fs::permissions(entry.path(), fs::perms(0755));
    }
    fs::remove_all(root_.path("trash"));
  }
  void expect_whole(const TestModule& module, int number) {
    const auto files = content(layer(kModules, number));
    EXPECT_THAT(files, Contains(Key(module.download(".ziphash"))));
    EXPECT_EQ(files.at(module.name() + "/go.mod"), module.go_mod());
    for (const auto& [file, text] : module.files) {
      EXPECT_EQ(files.at(module.name() + "/" + file), text);
    }
  }
  void expect_gone(const TestModule& module, int number) {
    const auto files = content(layer(kModules, number));
    EXPECT_THAT(files, Contains(Key(module.download(".mod"))));
    EXPECT_THAT(files, Not(Contains(Key(module.name() + "/a.go"))));
    EXPECT_FALSE(fs::exists(layer(kModules, number) + "/" + module.name()));
  }

  const collector::InUseNow kFree = [] { return false; };
};

TEST_F(Collected, AModuleWithoutItsZipStaysExtracted) {
  kA.write(upper("first"));
  ASSERT_TRUE(promote_modules({"first"}));
  drop_zip(kA);
  kB.write(upper("second"));
  const auto done = promote_modules({"second"});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->report.kept, 1U);
  expect_whole(kA, 2);
  EXPECT_EQ(mode(layer(kModules, 2) + "/" + kA.name() + "/sub"), 0555U);
  EXPECT_FALSE(fs::exists(layer(kModules, 2) + "/" + kA.download(".zip")));

  // Whoever fetches the zip again has nothing that is missed.
  kA.write(upper("third"));
  const auto again = promote_modules({"third"});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->layer, "");
}

TEST_F(Collected, AModuleThatIsTakenMeanwhileIsDropped) {
  kA.write(upper("first"));
  kB.write(upper("first"));
  ASSERT_TRUE(promote_modules({"first"}));
  kC.write(upper("second"));
  const auto done = promote_modules({"second"}, {}, [this](std::string_view step) {
    if (step == "taken") drop(kA);
  });
  ASSERT_TRUE(done) << done.error().message;
  expect_gone(kA, 2);
  expect_whole(kB, 2);
  expect_whole(kC, 2);
}

/// What the trash's emptier has left of a module while it was linked is not the module.
TEST_F(Collected, AModuleThatIsTakenWhileItsFilesAreLinkedIsDropped) {
  kA.write(upper("first"));
  ASSERT_TRUE(promote_modules({"first"}));
  kC.write(upper("second"));
  const auto done = promote_modules({"second"}, {}, [this](std::string_view step) {
    if (step != "tree") return;
    drop(kA);
    empty_trash();
  });
  ASSERT_TRUE(done) << done.error().message;
  expect_gone(kA, 2);
  expect_whole(kC, 2);
}

/// The collector died after the rename: the next layer has what the one below has.
TEST_F(Collected, ARemovalThatWasInterruptedStopsNoPromotion) {
  struct Died {};
  for (const char* at : {"module-renamed", "module-zip"}) {
    SCOPED_TRACE(at);
    fs::remove_all(root_.path("caches"));
    kA.write(upper("first"));
    ASSERT_TRUE(promote_modules({"first"}));
    EXPECT_THROW(drop(kA,
                      [at](std::string_view step) {
                        if (step == at) throw Died();
                      }),
                 Died);
    kC.write(upper("second"));
    const auto done = promote_modules({"second"});
    ASSERT_TRUE(done) << done.error().message;
    expect_gone(kA, 2);
    expect_whole(kC, 2);
  }
}

TEST_F(Collected, ALayerThatIsTakenMeanwhileGivesNoNextOne) {
  kA.write(upper("first"));
  ASSERT_TRUE(promote_modules({"first"}));
  kC.write(upper("second"));
  const auto done = promote_modules({"second"}, {}, [this](std::string_view step) {
    if (step == "linked") fs::rename(layer(kModules, 1), root_.path("taken"));
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, std::errc::no_such_file_or_directory);
  EXPECT_EQ(newest(kModules), "");
}

TEST_F(Collected, BuildsThatAreTakenMeanwhileAreDropped) {
  const TestBuild old{"old", "old object file"};
  const TestBuild kept{"kept", "object file"};
  const TestBuild fresh{"fresh", "fresh object file"};
  old.write(upper("first"));
  kept.write(upper("first"));
  ASSERT_TRUE(promote_builds({"first"}));
  fresh.write(upper("second"));
  // It begins with the actions.
  const auto done = promote_builds({"second"}, {}, [&](std::string_view step) {
    if (step == "taken") fs::remove(layer(kBuilds, 1) + "/" + old.a());
  });
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->report.kept, 1U);
  const auto files = content(layer(kBuilds, 2));
  EXPECT_EQ(files.at(kept.a()), kept.line());
  EXPECT_EQ(files.at(fresh.d()), fresh.output);
  EXPECT_THAT(files, Not(Contains(Key(old.a()))));
}

}  // namespace
}  // namespace gobuildenv::agent
