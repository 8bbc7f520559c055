#include "agent/toolchains/extract.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <map>

#include "agent/toolchains/h1.hpp"
#include "tests/agent/temp_folder.hpp"
#include "tests/agent/toolchains/test_zip.hpp"

namespace gobuildenv::agent {
namespace {

using testing::make_zip;
using testing::small_toolchain;
using testing::TempFolder;
using testing::TestEntry;
using Kind = ExtractError::Kind;

const ToolchainId kId{{1, 22, 3}, "linux", "amd64"};
constexpr std::string_view kPrefix = "golang.org/toolchain@v0.0.1-go1.22.3.linux-amd64/";

class ExtractTest : public ::testing::Test {
 protected:
  tl::expected<Extracted, ExtractError> extract(const std::string& zip,
                                                const ExtractOptions& options = {}) {
    const std::string archive = folder.path("a.zip");
    testing::write_file(archive, zip);
    goroot = folder.path("goroot" + std::to_string(++count));
    return extract_toolchain(archive, kId, goroot, options);
  }
  tl::expected<Extracted, ExtractError> extract(const std::vector<TestEntry>& extra) {
    return extract(make_zip(small_toolchain("1.22.3", extra)));
  }

  TempFolder folder;
  std::string goroot;
  int count = 0;
};

mode_t mode_of(const std::string& path) {
  struct stat found {};
  return ::lstat(path.c_str(), &found) == 0 ? found.st_mode & 07777U : 0;
}

TEST_F(ExtractTest, GivesTheTreeTheGoCommandMakesAndItsSum) {
  for (const unsigned threads : {1U, 3U}) {
    ExtractOptions options;
    options.threads = threads;
    const auto entries = small_toolchain("1.22.3");
    const auto done = extract(make_zip(entries), options);
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(done->h1, testing::h1_of_entries(entries));
    EXPECT_EQ(done->files, entries.size());
    const auto own =
        h1_of_folder(goroot, kPrefix, [](std::string_view path) { return path != "src/go.mod"; });
    EXPECT_EQ(own, done->h1);
    const std::map<std::string, mode_t> kModes = {
        {"bin/go", 0555},
        {"bin/gofmt", 0555},
        {"bin", 0555},
        {"pkg/tool/linux_amd64/compile", 0555},
        {"src", 0555},
        {"lib/wasm/go_js_wasm_exec", 0555},
        {"lib/time/README", 0444},
        {"src/fmt/print.go", 0444},
        {"src/go.mod", 0444},
        {"src/_go.mod", 0444},
        {"", 0555},
    };
    for (const auto& [path, mode] : kModes) EXPECT_EQ(mode_of(goroot + "/" + path), mode) << path;
    EXPECT_EQ(testing::read_file(goroot + "/src/go.mod"), "module std\n");
    EXPECT_EQ(testing::read_file(goroot + "/pkg/tool/linux_amd64/compile"),
              std::string(700'000, 'c'));
  }
}

TEST_F(ExtractTest, AFolderEntryCountsInTheSumAndIsMade) {
  const auto entries = small_toolchain("1.22.3", {{"misc/", "", false}});
  const auto done = extract(make_zip(entries));
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->h1, testing::h1_of_entries(entries));
  EXPECT_EQ(done->files, entries.size() - 1);
  EXPECT_EQ(mode_of(goroot + "/misc"), 0555U);
}

TEST_F(ExtractTest, NamesThatEscapeOrCollideAreRefused) {
  for (const std::string& name :
       {std::string("../evil"), std::string("a/../../evil"), std::string("/etc/evil"),
        std::string("a//b"), std::string("./a"), std::string("a/."), std::string("a\\b"),
        std::string("a\nb"), std::string("nul\0byte", 8), std::string("\xff"),
        std::string(256, 'x'), std::string("bin/go"), std::string("BIN/go"), std::string("bin/GO"),
        std::string("bin"), std::string("VERSION/x"), std::string("src/go.mod")}) {
    const auto done = extract({{name, "evil"}});
    // The nested go.mod is found when it is written: it is there already.
    ASSERT_FALSE(done) << name;
    EXPECT_EQ(done.error().kind, name == "src/go.mod" ? Kind::Disk : Kind::Archive)
        << name << ": " << done.error().message;
  }
  EXPECT_FALSE(std::filesystem::exists(folder.path("evil")));
}

TEST_F(ExtractTest, WhatIsNotBelowThePrefixIsRefused) {
  for (const std::string& name :
       {std::string("evil"), std::string("golang.org/toolchain@v0.0.1-go1.22.4.linux-amd64/bin/go"),
        std::string("../evil"), std::string("/evil"), std::string(kPrefix)}) {
    auto entries = small_toolchain("1.22.3");
    entries.push_back({name, ""});
    const auto done = extract(make_zip(entries));
    ASSERT_FALSE(done) << name;
    EXPECT_EQ(done.error().kind, Kind::Archive);
    EXPECT_FALSE(std::filesystem::exists(goroot)) << "refused before anything is written";
  }
}

TEST_F(ExtractTest, LinksDevicesAndOddEntriesAreRefused) {
  const std::vector<std::pair<std::string_view, TestEntry>> kCases = {
      {"symlink", {"link", "/etc/passwd", false, S_IFLNK | 0777}},
      {"fifo", {"fifo", "", false, S_IFIFO | 0644}},
      {"device", {"device", "", false, S_IFBLK | 0644}},
      {"encrypted", {"secret", "x", false, 0, {}, 1}},
      {"bzip2", {"packed", "x", false, 0, {}, 0, 12}},
      {"folder with data", {"folder/", "x", false}},
      {"stored with two sizes", {"two", "xx", false, 0, 1}},
      {"larger than claimed", {"more", "xxxxxxxx", true, 0, 3}},
      {"smaller than claimed", {"less", "xxxxxxxx", true, 0, 30}},
      {"overlap", {"again", "x", false, 0, {}, 0, {}, 0}},
      {"no local header", {"lost", "x", false, 0, {}, 0, {}, 7}},
      {"outside", {"outside", "x", false, 0, {}, 0, {}, 0xfffffff0}},
  };
  for (const auto& [what, entry] : kCases) {
    const auto done = extract({entry});
    ASSERT_FALSE(done) << what;
    EXPECT_EQ(done.error().kind, Kind::Archive) << what << ": " << done.error().message;
  }
  EXPECT_TRUE(extract({{"fine", "x", true, S_IFREG | 0644}}));
}

TEST_F(ExtractTest, BombsAreRefusedByEachLimit) {
  const std::string zeros(3'000'000, '\0');
  const auto zip = make_zip(small_toolchain("1.22.3", {{"bomb", zeros}}));
  const struct {
    std::string_view what;
    ZipLimits limits;
    bool fine;
  } kCases[] = {
      {"ratio", {.ratio = 100}, false},
      {"file", {.file = 2'000'000, .ratio = 10'000}, false},
      {"total", {.total = 3'500'000, .ratio = 10'000}, false},
      {"entries", {.entries = 9, .ratio = 10'000}, false},
      {"archive", {.archive = 1000, .ratio = 10'000}, false},
      {"none", {.ratio = 10'000}, true},
  };
  for (const auto& [what, limits, fine] : kCases) {
    ExtractOptions options;
    options.limits = limits;
    const auto done = extract(zip, options);
    EXPECT_EQ(done.has_value(), fine) << what;
    if (!done) {
      EXPECT_EQ(done.error().kind, Kind::Archive) << done.error().message;
    }
  }
  // One that lies about it stops where it said it would.
  ExtractOptions options;
  const auto lying =
      extract(make_zip(small_toolchain("1.22.3", {{"bomb", zeros, true, 0, 10}})), options);
  ASSERT_FALSE(lying);
  EXPECT_THAT(lying.error().message, ::testing::HasSubstr("larger than its directory says"));
}

TEST_F(ExtractTest, EveryCutAndNoChangeGoesUnnoticed) {
  const auto entries = small_toolchain("1.22.3");
  const std::string zip = make_zip(entries);
  const std::string h1 = testing::h1_of_entries(entries);
  for (std::size_t size = 0; size < zip.size(); size += 13) {
    ASSERT_FALSE(extract(zip.substr(0, size))) << size;
  }
  for (std::size_t at = 0; at < zip.size(); at += 7) {
    std::string changed = zip;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    const auto done = extract(changed);
    // Times, checksums and names in local headers do not belong to the sum.
    if (done && done->h1 == h1) {
      ASSERT_EQ(testing::read_file(goroot + "/bin/go"), entries[0].content);
      ASSERT_EQ(testing::read_file(goroot + "/VERSION"), "go1.22.3\n");
    }
  }
}

TEST_F(ExtractTest, AFullDiskIsADiskError) {
  // A limit on file sizes stands for the disk's: write() fails in the same way.
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto old = std::signal(SIGXFSZ, SIG_IGN);
  const std::string zip = make_zip(small_toolchain("1.22.3"));
  testing::write_file(folder.path("full.zip"), zip);
  const rlimit small{100'000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto done = extract_toolchain(folder.path("full.zip"), kId, folder.path("full"));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, Kind::Disk);
  EXPECT_EQ(done.error().code, EFBIG);
  EXPECT_THAT(done.error().message, ::testing::HasSubstr("pkg/tool/linux_amd64/compile"));
}

TEST_F(ExtractTest, StopsWhenAsked) {
  ExtractOptions options;
  options.stopped = [] { return true; };
  const auto done = extract(make_zip(small_toolchain("1.22.3")), options);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, Kind::Stopped);
}

TEST_F(ExtractTest, AMissingArchiveIsADiskError) {
  const auto done = extract_toolchain(folder.path("absent"), kId, folder.path("x"));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ENOENT);
}

TEST(H1, IsGosForAFolder) {
  TempFolder folder;
  testing::write_file(folder.path("b/x"), "one");
  testing::write_file(folder.path("a.txt"), "");
  const auto h1 = h1_of_folder(folder.path(), "m@v1/");
  EXPECT_EQ(h1, testing::h1_of_entries({{"m@v1/b/x", "one"}, {"m@v1/a.txt", ""}}));
  std::filesystem::create_symlink("x", folder.path("b/link"));
  EXPECT_FALSE(h1_of_folder(folder.path(), "m@v1/")) << "a link is no file of a module";
  EXPECT_FALSE(h1_of_folder(folder.path("absent"), ""));
}

}  // namespace
}  // namespace gobuildenv::agent
