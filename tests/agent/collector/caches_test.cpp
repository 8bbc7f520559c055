#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>

#include "agent/collector/build_cache.hpp"
#include "agent/collector/module_cache.hpp"
#include "tests/agent/collector/fixture.hpp"

namespace gobuildenv::agent::collector {
namespace {

namespace fs = std::filesystem;
using testing::make_build;
using testing::make_module;
using testing::open_path;
using testing::TempFolder;
using testing::write_file;

constexpr std::int64_t kSecond = 1'000'000'000;

const CachedModule* find(const ModuleCacheScan& scan, const std::string& name) {
  const auto it = std::find_if(scan.modules.begin(), scan.modules.end(),
                               [&](const CachedModule& m) { return m.name == name; });
  return it == scan.modules.end() ? nullptr : &*it;
}

ModuleCacheScan scan_modules(const std::string& path) {
  TreeScan scan(::time(nullptr) * kSecond);
  ModuleMemos memos;
  return scan_module_cache(open_path(path), scan, memos);
}

TEST(ModuleCache, FindsUnits) {
  const TempFolder folder;
  const std::string cache = folder.path("mod");
  make_module(cache, "example.com/!big/one", "v1.0.0");
  make_module(cache, "example.com/!big/one/v2", "v2.1.0");
  make_module(cache, "golang.org/toolchain", "v0.0.1-go1.22.0.linux-amd64");
  write_file(cache + "/cache/download/sumdb/sum.example/tile/8/0/000", "tile");
  write_file(cache + "/cache/download/example.com/listed/@v/list", "v1.0.0\n");
  write_file(cache + "/cache/download/example.com/graph/@v/v1.0.0.mod", "module example.com/graph");
  write_file(cache + "/cache/vcs/0123abcd/HEAD", "ref");
  write_file(cache + "/cache/vcs/0123abcd.info", "git:https");
  write_file(cache + "/cache/vcs/0123abcd.lock", "");
  const ModuleCacheScan scan = scan_modules(cache);
  ASSERT_EQ(scan.modules.size(), 4U);
  const CachedModule* one = find(scan, "example.com/!big/one@v1.0.0");
  ASSERT_NE(one, nullptr);
  EXPECT_TRUE(one->extracted);
  EXPECT_FALSE(one->partial);
  EXPECT_GE(one->zip_bytes, 8192U);
  EXPECT_EQ(one->size.inodes, 9U);  // three folders, four files, zip and ziphash
  EXPECT_NE(find(scan, "example.com/!big/one/v2@v2.1.0"), nullptr);
  EXPECT_NE(find(scan, "golang.org/toolchain@v0.0.1-go1.22.0.linux-amd64"), nullptr);
  const CachedModule* vcs = find(scan, "cache/vcs/0123abcd");
  ASSERT_NE(vcs, nullptr);
  EXPECT_TRUE(vcs->vcs);
}

TEST(ModuleCache, EveryInodeIsCountedOnce) {
  const TempFolder folder;
  const std::string cache = folder.path("mod");
  make_module(cache, "example.com/one", "v1.0.0");
  make_module(cache, "example.com/two", "v1.0.0");
  write_file(cache + "/cache/lock", "");
  write_file(cache + "/stray", "x");
  write_file(cache + "/cache/vcs/0123abcd/HEAD", "ref");
  const ModuleCacheScan scan = scan_modules(cache);
  Totals sum = scan.other;
  for (const CachedModule& module : scan.modules) sum += module.size;
  TreeScan whole(0);
  TreeMemo memo;
  EXPECT_EQ(sum, whole.count(open_path(cache), memo));
}

TEST(ModuleCache, AnInterruptedExtractionIsIncomplete) {
  const TempFolder folder;
  const std::string cache = folder.path("mod");
  make_module(cache, "example.com/one", "v1.0.0");
  write_file(cache + "/cache/download/example.com/one/@v/v1.0.0.partial", "");
  const ModuleCacheScan scan = scan_modules(cache);
  const CachedModule* one = find(scan, "example.com/one@v1.0.0");
  ASSERT_NE(one, nullptr);
  EXPECT_TRUE(one->partial);
}

TEST(ModuleCache, ReadingTheZiphashShows) {
  const TempFolder folder;
  const std::string cache = folder.path("mod");
  make_module(cache, "example.com/one", "v1.0.0");
  const std::int64_t armed = arm_probe(open_path(cache), "example.com/one@v1.0.0");
  ASSERT_NE(armed, 0);
  EXPECT_EQ(find(scan_modules(cache), "example.com/one@v1.0.0")->used, armed);
  // Scanning is no use.
  EXPECT_EQ(find(scan_modules(cache), "example.com/one@v1.0.0")->used, armed);
  const std::string ziphash = cache + "/cache/download/example.com/one/@v/v1.0.0.ziphash";
  EXPECT_EQ(testing::read_file(ziphash), "h1:aaaa=\n");
  struct stat raw {};
  ASSERT_EQ(::stat(ziphash.c_str(), &raw), 0);
  if (raw.st_atim.tv_sec * kSecond <= armed)
    GTEST_SKIP() << "this file system keeps no access times";
  EXPECT_GT(find(scan_modules(cache), "example.com/one@v1.0.0")->used, armed);
}

TEST(ModuleCache, DownloadStems) {
  EXPECT_EQ(download_stem("example.com/m@v1.0.0"), "cache/download/example.com/m/@v/v1.0.0");
  for (const char* bad : {"", "m", "@v1", "m@"}) EXPECT_EQ(download_stem(bad), "") << bad;
}

const IdleOf kIdle = [](std::int64_t stamp) -> std::optional<seconds> {
  const std::int64_t idle = ::time(nullptr) - stamp / kSecond;
  if (idle < -5) return std::nullopt;
  return seconds(std::max<std::int64_t>(0, idle));
};

BuildCacheScan scan_builds(const std::string& path, BuildMemo& memo, Depth depth) {
  TreeScan scan((::time(nullptr) + 3600) * kSecond);
  return scan_build_cache(open_path(path), scan, memo, depth, kIdle, true);
}

TEST(BuildCache, SortsEntriesByTheHourOfTheirUse) {
  const TempFolder folder;
  const std::string cache = folder.path("build");
  const std::int64_t now = ::time(nullptr);
  make_build(cache, "0a", "0b", now);
  make_build(cache, "0c", "ff", now - 7200 - 60);
  write_file(cache + "/trim.txt", "1");
  write_file(cache + "/fuzz/example.com/m/FuzzX/1", "seed");
  write_file(cache + "/0a/stranger", "x");
  BuildMemo memo;
  const BuildCacheScan scan = scan_builds(cache, memo, Depth::Uses);
  ASSERT_EQ(scan.cohorts.size(), 2U);
  EXPECT_EQ(scan.cohorts.at(0).inodes, 2U);
  EXPECT_EQ(scan.cohorts.at(2).inodes, 2U);
  EXPECT_EQ(scan.entries.inodes, 4U);
  TreeScan whole(0);
  TreeMemo none;
  Totals sum = scan.entries;
  sum += scan.other;
  EXPECT_EQ(sum, whole.count(open_path(cache), none));
}

TEST(BuildCache, AnExecutableIsOneEntry) {
  const TempFolder folder;
  const std::string cache = folder.path("build");
  const std::int64_t now = ::time(nullptr);
  const auto pair = make_build(cache, "0a", "0b", now - 7200);
  fs::remove(pair.output);
  write_file(pair.output + "/tool", std::string(20'000, 'x'));
  testing::set_times(pair.output, now - 7200);
  BuildMemo memo;
  const BuildCacheScan scan = scan_builds(cache, memo, Depth::Uses);
  EXPECT_EQ(scan.cohorts.at(2).inodes, 3U);
}

TEST(BuildCache, SizesComeFromTheMemoUsesDoNot) {
  const TempFolder folder;
  const std::string cache = folder.path("build");
  const std::int64_t now = ::time(nullptr);
  const auto pair = make_build(cache, "0a", "0b", now - 7200);
  BuildMemo memo;
  const Totals entries = scan_builds(cache, memo, Depth::Uses).entries;
  EXPECT_EQ(scan_builds(cache, memo, Depth::Sizes).entries, entries);
  testing::set_times(pair.action, now);  // used: the folder has not changed
  EXPECT_EQ(scan_builds(cache, memo, Depth::Uses).cohorts.size(), 2U);
  make_build(cache, "0c", "0d", now);
  EXPECT_GT(scan_builds(cache, memo, Depth::Sizes).entries.bytes, entries.bytes);
}

TEST(BuildCache, StampsOfTheFutureAreRepaired) {
  const TempFolder folder;
  const std::string cache = folder.path("build");
  const auto pair = make_build(cache, "0a", "0b", ::time(nullptr) + 400 * 86'400);
  BuildMemo memo;
  EXPECT_EQ(scan_builds(cache, memo, Depth::Uses).repaired_stamps, 2U);
  struct stat raw {};
  ASSERT_EQ(::stat(pair.action.c_str(), &raw), 0);
  EXPECT_LE(raw.st_mtim.tv_sec, ::time(nullptr) + 1);
  EXPECT_EQ(scan_builds(cache, memo, Depth::Uses).repaired_stamps, 0U);
}

TEST(BuildCache, EntryNames) {
  const std::string hash = testing::hash_of("0a");
  struct Case {
    std::string shard;
    std::string name;
    BuildEntry want;
  };
  const Case cases[] = {
      {"0a", hash + "-a", BuildEntry::Action},
      {"0a", hash + "-d", BuildEntry::Data},
      {"0b", hash + "-d", BuildEntry::None},
      {"0a", hash + "-x", BuildEntry::None},
      {"0a", hash, BuildEntry::None},
      {"0a", hash.substr(1) + "-a", BuildEntry::None},
      {"0a", "0a" + std::string(62, 'G') + "-a", BuildEntry::None},
      {"0a", "", BuildEntry::None},
  };
  for (const Case& c : cases) EXPECT_EQ(build_entry(c.shard, c.name), c.want) << c.name;
}

}  // namespace
}  // namespace gobuildenv::agent::collector
