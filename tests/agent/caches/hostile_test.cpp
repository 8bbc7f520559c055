#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <functional>

#include "tests/agent/caches/fixture.hpp"

/// Uppers as an attacking pod leaves them, taken over as if it were trusted.
namespace gobuildenv::agent {
namespace {

using namespace gobuildenv::agent::testing;  // NOLINT(google-build-using-namespace)
using ::testing::Contains;
using ::testing::Key;
using ::testing::Not;

const TestModule kGood{"example.com/good", "v1.0.0"};
const TestModule kBad{"example.com/bad", "v1.0.0"};
constexpr const char* kSecret = "the node's secret";

class Hostile : public Layers {
 protected:
  void SetUp() override {
    kGood.write(upper());
    kBad.write(upper());
    write_file(root_.path("secret"), kSecret);
  }
  std::string bad(const std::string& suffix) { return upper() + "/" + kBad.download(suffix); }

  /// The good module is there, the bad one is not, and no secret is.
  void expect_only_good() {
    const auto done = promote_modules();
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(done->report.taken, 1U);
    EXPECT_GE(done->report.refused, 1U);
    EXPECT_NE(done->report.first_refusal.find("example.com/bad"), std::string::npos)
        << done->report.first_refusal;
    expect_clean();
  }
  void expect_clean() {
    const auto files = content(layer(kModules, 1));
    EXPECT_THAT(files, Contains(Key(kGood.name() + "/a.go")));
    EXPECT_THAT(files, Not(Contains(Key(kBad.name() + "/a.go"))));
    for (const char* suffix : {".zip", ".ziphash", ".mod", ".info"}) {
      EXPECT_THAT(files, Not(Contains(Key(kBad.download(suffix)))));
    }
    for (const auto& [name, text] : files) {
      EXPECT_EQ(text.find(kSecret), std::string::npos) << name;
      EXPECT_EQ(text.find("evil"), std::string::npos) << name;
    }
  }
};

TEST_F(Hostile, ModuleFilesAreNotBelieved) {
  write_file(upper() + "/" + kBad.name() + "/a.go", "package evil\n");
  write_file(upper() + "/" + kBad.name() + "/new.go", "package evil\n");
  const auto done = promote_modules();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->report.taken, 2U);
  const auto files = content(layer(kModules, 1));
  EXPECT_EQ(files.at(kBad.name() + "/a.go"), "package a\n") << "from the zip";
  EXPECT_THAT(files, Not(Contains(Key(kBad.name() + "/new.go"))));
}

TEST_F(Hostile, AnotherZip) {
  TestModule evil = kBad;
  evil.files["a.go"] = "package evil\n";
  write_file(bad(".zip"), make_zip(evil.entries()));
  expect_only_good();
}

TEST_F(Hostile, AnotherZipHash) {
  write_file(bad(".ziphash"), "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
  expect_only_good();
}

TEST_F(Hostile, AnotherGoMod) {
  write_file(bad(".mod"), "module example.com/bad\nrequire example.com/evil v1.0.0\n");
  expect_only_good();
}

/// Without a zip there is nothing to compare it with.
TEST_F(Hostile, EmptyGoMod) {
  fs::remove(bad(".zip"));
  write_file(bad(".mod"), "");
  expect_only_good();
}

TEST_F(Hostile, InfoOfAnotherVersionIsLeftOut) {
  write_file(bad(".info"), "{\"Version\":\"v9.9.9\",\"evil\":1}");
  const auto done = promote_modules();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->report.refused, 1U);
  EXPECT_THAT(content(layer(kModules, 1)), Not(Contains(Key(kBad.download(".info")))));
}

TEST_F(Hostile, NoZipAtAll) {
  write_file(bad(".zip"), "evil, and no zip");
  expect_only_good();
}

TEST_F(Hostile, ZipOfAnotherModule) {
  const TestModule other{"example.com/evil", "v1.0.0"};
  write_file(bad(".zip"), make_zip(other.entries()));
  write_file(bad(".ziphash"), h1_of_entries(other.entries()));
  expect_only_good();
}

TEST_F(Hostile, ZipThatClimbs) {
  std::vector<TestEntry> entries{{kBad.name() + "/../../evil.go", "evil"}};
  write_file(bad(".zip"), make_zip(entries));
  write_file(bad(".ziphash"), h1_of_entries(entries));
  expect_only_good();
  EXPECT_FALSE(fs::exists(root_.path("evil.go")));
}

TEST_F(Hostile, ZipWithALink) {
  std::vector<TestEntry> entries{{kBad.name() + "/link", "/etc/passwd", true, S_IFLNK | 0777}};
  write_file(bad(".zip"), make_zip(entries));
  write_file(bad(".ziphash"), h1_of_entries(entries));
  expect_only_good();
}

struct Planted {
  const char* name;
  std::function<void(const std::string& place, const std::string& secret)> plant;
};

class Places : public Hostile, public ::testing::WithParamInterface<Planted> {};

/// In a file's place: what is no file with one name is none.
TEST_P(Places, OfAFile) {
  fs::remove(bad(".zip"));
  GetParam().plant(bad(".zip"), root_.path("secret"));
  const auto done = promote_modules();
  ASSERT_TRUE(done) << done.error().message;
  const auto files = content(layer(kModules, 1));
  EXPECT_THAT(files, Not(Contains(Key(kBad.download(".zip")))));
  EXPECT_THAT(files, Not(Contains(Key(kBad.name() + "/a.go"))));
  for (const auto& [name, text] : files) EXPECT_EQ(text.find(kSecret), std::string::npos) << name;
  EXPECT_EQ(read_file(root_.path("secret")), kSecret);
}

/// In a folder's place, on the way to files.
TEST_P(Places, OfAFolder) {
  const std::string folder = upper() + "/cache/download/example.com/bad";
  fs::remove_all(folder);
  kBad.write(root_.path("elsewhere"));
  GetParam().plant(folder, root_.path("elsewhere/cache/download/example.com/bad"));
  const auto done = promote_modules();
  ASSERT_TRUE(done) << done.error().message;
  expect_clean();
}

/// Of an output of a build.
TEST_P(Places, OfAnOutput) {
  const TestBuild good{"good", "fine"};
  const TestBuild evil{"bad", kSecret};
  good.write(upper("b"));
  evil.write(upper("b"));
  fs::remove(upper("b") + "/" + evil.d());
  GetParam().plant(upper("b") + "/" + evil.d(), root_.path("secret"));
  const auto done = promote_builds({"b"});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->report.taken, 1U);
  EXPECT_EQ(content(layer(kBuilds, 1)),
            (std::map<std::string, std::string>{{good.a(), good.line()}, {good.d(), good.output}}));
}

INSTANTIATE_TEST_SUITE_P(
    All, Places,
    ::testing::Values(
        Planted{"Symlink", [](const auto& at, const auto& to) { fs::create_symlink(to, at); }},
        Planted{"HardLink",
                [](const auto& at, const auto& to) {
                  std::error_code of_a_folder;
                  fs::create_hard_link(to, at, of_a_folder);
                }},
        Planted{"Fifo", [](const auto& at, const auto&) { ::mkfifo(at.c_str(), 0666); }},
        Planted{"Socket",
                [](const auto& at, const auto&) {
                  ASSERT_EQ(::mknod(at.c_str(), S_IFSOCK | 0666, 0), 0);
                }},
        Planted{"Whiteout",
                [](const auto& at, const auto&) {
                  // Linux lets anybody make this one device.
                  ASSERT_EQ(::mknod(at.c_str(), S_IFCHR, makedev(0, 0)), 0);
                }},
        Planted{"Folder", [](const auto& at, const auto&) { fs::create_directory(at); }}),
    [](const auto& one) { return one.param.name; });

TEST_F(Hostile, OnlyContentIsTaken) {
  ASSERT_EQ(::chmod(bad(".zip").c_str(), 06777), 0);
  const bool attributes = ::setxattr(bad(".zip").c_str(), "user.evil", "1", 1, 0) == 0;
  ASSERT_TRUE(promote_modules());
  const std::string taken = layer(kModules, 1) + "/" + kBad.download(".zip");
  EXPECT_EQ(mode(taken), 0666U);
  if (attributes) {
    EXPECT_LT(::getxattr(taken.c_str(), "user.evil", nullptr, 0), 0);
  }
}

TEST_F(Hostile, OtherShapesAreNotShared) {
  for (const char* name :
       {"cache/download/sumdb/sum.example/lookup/example.com/a@v1.0.0",
        "cache/vcs/0123456789abcdef/hooks/post-checkout", "cache/lock",
        "cache/download/example.com/good/@v/list", "cache/download/example.com/good/@v/master.mod",
        "cache/download/golang.org/toolchain/@v/v0.0.1-go1.22.3.linux-amd64.mod",
        "cache/download/@v/v1.0.0.mod", "example.com/evil@v1.0.0/a.go", "bin/evil"}) {
    write_file(upper() + "/" + name, "evil");
  }
  ASSERT_TRUE(promote_modules());
  for (const auto& [name, text] : content(layer(kModules, 1))) {
    EXPECT_NE(text, "evil") << name;
  }
}

TEST_F(Hostile, RemovedFilesAreNotMissed) {
  ASSERT_TRUE(promote_modules());
  // As an overlay's upper says that the layer's file is gone.
  const std::string gone = upper("w") + "/" + kGood.download(".zip");
  fs::create_directories(fs::path(gone).parent_path());
  ASSERT_EQ(::mknod(gone.c_str(), S_IFCHR, makedev(0, 0)), 0);
  TestModule more{"example.com/more", "v1.0.0"};
  more.write(upper("w"));
  const auto done = promote_modules({"w"});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->report.taken, 1U);
  EXPECT_THAT(content(layer(kModules, 2)), Contains(Key(kGood.download(".zip"))));
}

TEST_F(Hostile, WhatIsThereIsNotReplaced) {
  ASSERT_TRUE(promote_modules());
  TestModule evil = kGood;
  evil.files["a.go"] = "package evil\n";
  evil.write(upper("e"));
  const auto done = promote_modules({"e"});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->layer, "") << "a version never changes";
}

TEST_F(Hostile, NorIsAGoModThatCameWithoutItsZip) {
  for (const char* suffix : {".zip", ".ziphash", ".info"}) fs::remove(bad(suffix));
  ASSERT_TRUE(promote_modules());
  TestModule evil = kBad;
  evil.write(upper("e"));
  for (const char* suffix : {".zip", ".ziphash"})
    fs::remove(upper("e") + "/" + evil.download(suffix));
  write_file(upper("e") + "/" + evil.download(".mod"), "module example.com/evil\n");
  const auto done = promote_modules({"e"});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->layer, "");
  EXPECT_EQ(done->report.refused, 1U);
}

TEST_F(Hostile, BuildEntriesThatLie) {
  const TestBuild good{"good", "fine"};
  const TestBuild forged{"forged", "what it says"};
  const TestBuild moved{"moved", "fine"};
  const TestBuild longer{"longer", "abc"};
  good.write(upper("b"));
  forged.write(upper("b"));
  write_file(upper("b") + "/" + forged.d(), "evil instead");
  // An action's line under another action's name; a size that is not the output's.
  write_file(upper("b") + "/" + moved.a(), good.line());
  longer.write(upper("b"));
  write_file(upper("b") + "/" + longer.a(),
             to_line({longer.id(), TestBuild::sum("abc"), 1'000'000, 7}));
  // In a shard that is not its own.
  const std::string misplaced = (good.a().starts_with("00") ? "01/" : "00/") + good.a().substr(3);
  write_file(upper("b") + "/" + misplaced, good.line());
  const auto done = promote_builds({"b"});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->report.taken, 1U) << done->report.first_refusal;
  EXPECT_EQ(content(layer(kBuilds, 1)),
            (std::map<std::string, std::string>{{good.a(), good.line()}, {good.d(), good.output}}));
}

/// Go takes an output of another size than its entry says for incomplete, and compiles again.
TEST_F(Hostile, BuildEntriesThatLieAboutASharedOutput) {
  const TestBuild good{"good", "fine"};
  const auto lie = [&good](const std::string& action) {
    return to_line({TestBuild{action, ""}.id(), TestBuild::sum(good.output), 5, 7});
  };
  std::vector<TestBuild> others;
  for (int i = 0; i < 8; ++i) others.push_back({"other " + std::to_string(i), good.output});
  // Some come before the one that is right, some after it.
  good.write(upper("first"));
  for (const TestBuild& one : others) write_file(upper("first") + "/" + one.a(), lie(one.action));
  const auto first = promote_builds({"first"});
  ASSERT_TRUE(first);
  EXPECT_EQ(first->report.taken, 1U);
  EXPECT_EQ(first->report.refused, 8U);
  // The layer below has the output.
  write_file(upper("second") + "/" + others[0].a(), lie(others[0].action));
  const auto second = promote_builds({"second"});
  ASSERT_TRUE(second);
  EXPECT_EQ(second->report.taken, 0U);
  EXPECT_EQ(second->report.refused, 1U);

  // One that came into a layer all the same stands in nobody's way.
  write_file(layer(kBuilds, 1) + "/" + others[0].a(), lie(others[0].action));
  write_file(layer(kBuilds, 1) + "/" + others[1].a(), lie(others[1].action));
  others[0].write(upper("third"));
  const auto third = promote_builds({"third"});
  ASSERT_TRUE(third);
  EXPECT_EQ(third->report.taken, 1U) << third->report.first_refusal;
  EXPECT_EQ(third->report.kept, 1U);
  EXPECT_EQ(
      content(layer(kBuilds, 2)),
      (std::map<std::string, std::string>{
          {good.a(), good.line()}, {others[0].a(), others[0].line()}, {good.d(), good.output}}));
}

TEST_F(Hostile, MoreThanThereIsRoomFor) {
  for (int i = 0; i < 20; ++i) TestBuild{std::to_string(i), std::to_string(i)}.write(upper("b"));
  TakeLimits limits;
  limits.entries = 5;
  const auto few = promote_builds({"b"}, limits);
  ASSERT_TRUE(few);
  EXPECT_LE(few->report.taken, 5U);
  limits = {};
  limits.bytes = 100;
  TestBuild{"large", std::string(1000, 'x')}.write(upper("large"));
  const auto none = promote_builds({"large"}, limits);
  ASSERT_TRUE(none);
  EXPECT_EQ(none->report.taken, 0U);
  EXPECT_EQ(none->layer, "");
}

}  // namespace
}  // namespace gobuildenv::agent
