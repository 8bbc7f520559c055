#include "agent/caches/layers.hpp"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/agent/caches/fixture.hpp"

namespace gobuildenv::agent {
namespace {

using namespace gobuildenv::agent::testing;  // NOLINT(google-build-using-namespace)
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;

const TestModule kA{
    "example.com/a", "v1.0.0", {{"a.go", "package a\n"}, {"sub/b.go", "package b\n"}}};
const TestModule kB{"example.com/a/nested", "v0.2.0"};

TEST_F(Layers, TheFirstOneOfModules) {
  kA.write(upper());
  kB.write(upper());
  const auto done = promote_modules();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->layer, std::string(kModules) + "/lower/1");
  EXPECT_EQ(done->report.taken, 2U);
  EXPECT_EQ(done->report.refused, 0U) << done->report.first_refusal;
  EXPECT_EQ(newest(kModules), done->layer);

  const auto files = content(layer(kModules, 1));
  for (const TestModule& one : {kA, kB}) {
    EXPECT_EQ(files.at(one.download(".zip")), read_file(upper() + "/" + one.download(".zip")));
    EXPECT_EQ(files.at(one.download(".ziphash")), h1_of_entries(one.entries()));
    EXPECT_EQ(files.at(one.name() + "/go.mod"), one.go_mod());
    for (const auto& [file, text] : one.files) EXPECT_EQ(files.at(one.name() + "/" + file), text);
  }
  EXPECT_EQ(files.size(), 4U + 3U + 4U + 2U) << "no locks";
  const std::string top = layer(kModules, 1);
  EXPECT_EQ(mode(top), 0777U);
  EXPECT_EQ(mode(top + "/example.com"), 0777U) << "go adds modules beside it";
  EXPECT_EQ(mode(top + "/" + kA.name()), 0555U);
  EXPECT_EQ(mode(top + "/" + kA.name() + "/sub"), 0555U);
  EXPECT_EQ(mode(top + "/" + kA.name() + "/sub/b.go"), 0444U);
  EXPECT_EQ(mode(top + "/cache/download/example.com/a/@v"), 0777U);
  EXPECT_EQ(mode(top + "/" + kA.download(".zip")), 0666U);
}

TEST_F(Layers, TheNextOneKeepsWhatWasThere) {
  kA.write(upper("first"));
  ASSERT_TRUE(promote_modules({"first"}));
  kB.write(upper("second"));
  const auto done = promote_modules({"second"});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->layer, std::string(kModules) + "/lower/2");
  EXPECT_EQ(done->report.taken, 1U);
  EXPECT_EQ(done->report.kept, 1U);
  auto expected = content(layer(kModules, 1));
  const auto files = content(layer(kModules, 2));
  for (const auto& [name, text] : expected) EXPECT_EQ(files.at(name), text) << name;
  EXPECT_THAT(files, Contains(Key(kB.name() + "/a.go")));
  EXPECT_EQ(mode(layer(kModules, 2) + "/" + kA.name() + "/sub"), 0555U);
  // The same files, not copies of them.
  EXPECT_EQ(fs::hard_link_count(layer(kModules, 2) + "/" + kA.name() + "/a.go"), 2U);
  // And none of the pod's.
  EXPECT_EQ(fs::hard_link_count(upper("second") + "/" + kB.download(".zip")), 1U);
}

TEST_F(Layers, NothingNewIsNoLayer) {
  kA.write(upper());
  ASSERT_TRUE(promote_modules());
  const auto again = promote_modules();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->layer, "");
  EXPECT_EQ(newest(kModules), std::string(kModules) + "/lower/1");
  const auto empty = promote_builds({"nothing"});
  ASSERT_TRUE(empty);
  EXPECT_EQ(newest(kBuilds), "");
}

TEST_F(Layers, SeveralPodsAtOnce) {
  kA.write(upper("one"));
  kA.write(upper("two"));
  kB.write(upper("two"));
  const auto done = promote_modules({"one", "two"});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->report.taken, 2U);
}

TEST_F(Layers, AModuleThatWasOnlyLookedAtIsCompletedLater) {
  kA.write(upper("graph"));
  for (const char* suffix : {".zip", ".ziphash"})
    fs::remove(upper("graph") + "/" + kA.download(suffix));
  ASSERT_TRUE(promote_modules({"graph"}));
  EXPECT_THAT(content(layer(kModules, 1)), Not(Contains(Key(kA.name() + "/a.go"))));
  kA.write(upper("whole"));
  const auto done = promote_modules({"whole"});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->report.taken, 1U);
  EXPECT_THAT(content(layer(kModules, 2)), Contains(Key(kA.name() + "/a.go")));
}

/// A pod over a layer writes of a module what the layer has not.
TEST_F(Layers, TheRestOfAModuleComesWithoutWhatTheLayerHas) {
  kA.write(upper("graph"));
  for (const char* suffix : {".zip", ".ziphash"})
    fs::remove(upper("graph") + "/" + kA.download(suffix));
  ASSERT_TRUE(promote_modules({"graph"}));
  kA.write(upper("rest"));
  for (const char* suffix : {".mod", ".info"})
    fs::remove(upper("rest") + "/" + kA.download(suffix));
  const auto done = promote_modules({"rest"});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->report.taken, 1U);
  EXPECT_EQ(done->report.refused, 0U) << done->report.first_refusal;
  auto expected = content(upper("rest"));
  expected.erase(kA.download(".lock"));
  expected.merge(content(layer(kModules, 1)));
  EXPECT_EQ(content(layer(kModules, 2)), expected);
  EXPECT_EQ(mode(layer(kModules, 2) + "/" + kA.download(".mod")), 0666U);
}

TEST_F(Layers, TheModOfTheLayerMustBeTheZips) {
  kA.write(upper("graph"));
  for (const char* suffix : {".zip", ".ziphash"})
    fs::remove(upper("graph") + "/" + kA.download(suffix));
  write_file(upper("graph") + "/" + kA.download(".mod"), "module example.com/other\n");
  ASSERT_TRUE(promote_modules({"graph"}));
  kA.write(upper("rest"));
  fs::remove(upper("rest") + "/" + kA.download(".mod"));
  kB.write(upper("rest"));
  const auto done = promote_modules({"rest"});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->report.taken, 1U);
  EXPECT_THAT(done->report.first_refusal, HasSubstr("its .mod is not the go.mod in its zip"));
  const auto files = content(layer(kModules, 2));
  EXPECT_EQ(files.at(kA.download(".mod")), "module example.com/other\n") << "what was shared";
  EXPECT_THAT(files, Not(Contains(Key(kA.download(".zip")))));
}

TEST_F(Layers, AModuleWithoutAnyModIsRefused) {
  kA.write(upper());
  fs::remove(upper() + "/" + kA.download(".mod"));
  const auto done = promote_modules();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->layer, "");
  EXPECT_EQ(done->report.refused, 1U);
}

TEST_F(Layers, Builds) {
  const TestBuild one{"one", "object file"};
  const TestBuild same{"same", "object file"};
  one.write(upper("first"));
  same.write(upper("first"));
  write_file(upper("first") + "/README", "x");
  write_file(upper("first") + "/trim.txt", "1");
  const auto done = promote_builds({"first"});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->report.taken, 2U);
  EXPECT_EQ(content(layer(kBuilds, 1)),
            (std::map<std::string, std::string>{
                {one.a(), one.line()}, {same.a(), same.line()}, {one.d(), one.output}}));
  EXPECT_EQ(mode(layer(kBuilds, 1) + "/00"), 0777U);
  EXPECT_EQ(mode(layer(kBuilds, 1) + "/" + one.a()), 0666U);

  // An action over an output that only the layer below has; and one whose output changed.
  const TestBuild later{"later", "object file"};
  const TestBuild changed{"same", "another object file"};
  write_file(upper("second") + "/" + later.a(), later.line());
  changed.write(upper("second"));
  const auto next = promote_builds({"second"});
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_EQ(next->report.taken, 2U) << next->report.first_refusal;
  EXPECT_EQ(next->report.kept, 1U);
  const auto files = content(layer(kBuilds, 2));
  EXPECT_EQ(files.at(changed.a()), changed.line());
  EXPECT_EQ(files.at(later.a()), later.line());
  EXPECT_EQ(files.at(one.d()), one.output);
  EXPECT_EQ(fs::hard_link_count(layer(kBuilds, 2) + "/" + one.d()), 2U);
}

TEST_F(Layers, TheOldestFindNoRoom) {
  const TestBuild old{"old", std::string(1000, 'o')};
  const TestBuild recent{"recent", std::string(1000, 'r')};
  const TestBuild fresh{"fresh", std::string(1000, 'f')};
  old.write(upper("first"));
  recent.write(upper("first"));
  ASSERT_TRUE(promote_builds({"first"}));
  fs::last_write_time(layer(kBuilds, 1) + "/" + old.a(),
                      fs::file_time_type::clock::now() - std::chrono::hours(1));
  fresh.write(upper("second"));
  TakeLimits limits;
  limits.bytes = 4 * 4096 + 4000;  // two pairs, each file a block
  const auto done = promote_builds({"second"}, limits);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->report.dropped, 1U);
  const auto files = content(layer(kBuilds, 2));
  EXPECT_THAT(files, Contains(Key(fresh.d())));
  EXPECT_THAT(files, Contains(Key(recent.d())));
  EXPECT_THAT(files, Not(Contains(Key(old.d()))));
  EXPECT_THAT(files, Not(Contains(Key(old.a()))));
}

/// Killed at every step in turn: the layers there were are untouched, what is newest is whole, and
/// the next promotion does it all.
TEST_F(Layers, KilledAtEachStep) {
  kA.write(upper("first"));
  ASSERT_TRUE(promote_modules({"first"}));
  const auto before = content(layer(kModules, 1));
  kB.write(upper("second"));
  for (std::size_t die_at = 1;; ++die_at) {
    fs::remove_all(layer(kModules, 2));
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      std::size_t steps = 0;
      static_cast<void>(promote_modules({"second"}, {}, [&](std::string_view) {
        if (++steps == die_at) ::_exit(9);
      }));
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ++turn_;  // the child's
    EXPECT_EQ(content(layer(kModules, 1)), before);
    const bool published = newest(kModules) == std::string(kModules) + "/lower/2";
    if (published) {
      const auto files = content(layer(kModules, 2));
      EXPECT_THAT(files, Contains(Key(kA.name() + "/sub/b.go")));
      EXPECT_THAT(files, Contains(Key(kB.name() + "/a.go")));
    }
    if (WEXITSTATUS(status) == 0) {
      EXPECT_TRUE(published);
      EXPECT_GE(die_at, 6U) << "made, synced, published and named, and more";
      break;
    }
    const auto again = promote_modules({"second"});
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->layer.empty(), published);
  }
}

TEST_F(Layers, StopsWhenItIsTold) {
  kA.write(upper());
  fs::create_directories(root_.path("uppers"));
  const Fd root = collector::open_trusted_folder(root_.path()).value();
  std::vector<Fd> uppers;
  uppers.push_back(collector::open_trusted_folder(upper()).value());
  const auto done =
      promote({root, kModules, VolumeKind::Modules, uppers, "work", {}, [] { return true; }, {}});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, std::errc::operation_canceled);
  EXPECT_EQ(newest(kModules), "");
}

TEST_F(Layers, NewestIsTheLargestNumber) {
  for (const char* name : {"2", "10", "9", "007", "x", "11x", "-1", "99999999999999999999"}) {
    fs::create_directories(root_.path(std::string(kModules) + "/lower/" + name));
  }
  write_file(root_.path(std::string(kModules) + "/lower/12"), "a file");
  EXPECT_EQ(newest(kModules), std::string(kModules) + "/lower/10");
}

}  // namespace
}  // namespace gobuildenv::agent
