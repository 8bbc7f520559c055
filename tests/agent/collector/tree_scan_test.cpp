#include "agent/collector/tree_scan.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <random>

#include "tests/agent/collector/fixture.hpp"

namespace gobuildenv::agent::collector {
namespace {

namespace fs = std::filesystem;
using testing::open_path;
using testing::TempFolder;
using testing::write_file;

constexpr std::int64_t kSecond = 1'000'000'000;

std::int64_t wall_now() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return time.tv_sec * kSecond + time.tv_nsec;
}

/// A scan an hour from now: everything that is there has settled.
std::int64_t later() { return wall_now() + 3600 * kSecond; }

std::uint64_t du(const std::string& path) {
  FILE* pipe = ::popen(("du -s --block-size=1 '" + path + "'").c_str(), "r");
  std::array<char, 64> line{};
  const bool read = std::fgets(line.data(), line.size(), pipe) != nullptr;
  ::pclose(pipe);
  return read ? std::strtoull(line.data(), nullptr, 10) : 0;
}

Totals count(const std::string& path, TreeMemo& memo, std::int64_t wall = later()) {
  TreeScan scan(wall);
  return scan.count(open_path(path), memo);
}

TEST(TreeScan, CountsWhatDuCounts) {
  const TempFolder folder;
  write_file(folder.path("t/a/one"), std::string(10'000, 'x'));
  write_file(folder.path("t/a/b/two"), "2");
  write_file(folder.path("t/empty"), "");
  fs::create_directories(folder.path("t/c/d/e"));
  fs::create_symlink("/", folder.path("t/root"));
  fs::create_hard_link(folder.path("t/a/one"), folder.path("t/c/again"));
  TreeMemo memo;
  const Totals totals = count(folder.path("t"), memo);
  EXPECT_EQ(totals.bytes, du(folder.path("t")));
  EXPECT_EQ(totals.inodes, 10U);  // six folders, three files, one link
}

TEST(TreeScan, HardLinksCountOnceAcrossTrees) {
  const TempFolder folder;
  write_file(folder.path("a/one"), std::string(10'000, 'x'));
  fs::create_directories(folder.path("b"));
  fs::create_hard_link(folder.path("a/one"), folder.path("b/one"));
  TreeScan scan(later());
  TreeMemo first;
  TreeMemo second;
  const Totals a = scan.count(open_path(folder.path("a")), first);
  const Totals b = scan.count(open_path(folder.path("b")), second);
  EXPECT_EQ(a.inodes, 2U);
  EXPECT_EQ(b.inodes, 1U);
}

/// A cache of 20 GiB has them, and all of them twice where a pod holds the layer before the newest.
TEST(TreeScan, AMillionHardLinksCountOnce) {
  constexpr std::uint64_t kFirst = 4'000'037;
  constexpr std::uint64_t kFiles = 1'000'000;
  TreeScan scan(later());
  const auto layer = [&scan] {
    Totals totals;
    for (std::uint64_t i = 0; i < kFiles; ++i) {
      FileStat stat;
      stat.type = EntryType::File;
      stat.links = 2;
      stat.bytes = 4096;
      stat.inode = kFirst + i;
      scan.add_file(stat, totals);
    }
    return totals;
  };
  EXPECT_EQ(layer(), (Totals{kFiles * 4096, kFiles}));
  EXPECT_EQ(layer(), Totals());
  EXPECT_EQ(scan.shared_bytes(), kFiles * 4096);
}

TEST(TreeScan, OfHostileLinksOnlySoManyAreRemembered) {
  constexpr std::uint64_t kApart = std::uint64_t{1} << 20U;
  constexpr std::uint64_t kFiles = 600'000;
  TreeScan scan(later());
  Totals totals;
  const auto add = [&](std::uint64_t inode) {
    FileStat stat;
    stat.type = EntryType::File;
    stat.links = 2;
    stat.inode = inode;
    return scan.add_file(stat, totals);
  };
  for (std::uint64_t i = 1; i <= kFiles; ++i) EXPECT_TRUE(add(i * kApart));
  EXPECT_TRUE(add(kFiles * kApart)) << "there is no end to them";
  EXPECT_FALSE(add(kApart)) << "what was remembered stays so";
  EXPECT_TRUE(add(kApart + 1));
  EXPECT_FALSE(add(kApart + 1));
}

TEST(TreeScan, TakesUnchangedFoldersFromTheMemo) {
  const TempFolder folder;
  for (int i = 0; i < 20; ++i) {
    for (int j = 0; j < 5; ++j) {
      write_file(folder.path("t/" + std::to_string(i) + "/s/" + std::to_string(j)), "x");
    }
  }
  TreeMemo memo;
  TreeScan first(later());
  const Totals before = first.count(open_path(folder.path("t")), memo);
  EXPECT_EQ(first.folders_read(), 41U);
  TreeScan second(later());
  EXPECT_EQ(second.count(open_path(folder.path("t")), memo), before);
  EXPECT_EQ(second.folders_read(), 0U);
  EXPECT_EQ(second.folders_reused(), 41U);
}

TEST(TreeScan, ReadsAgainWhatHasChanged) {
  const TempFolder folder;
  write_file(folder.path("t/a/x/one"), "1");
  write_file(folder.path("t/b/two"), "2");
  TreeMemo memo;
  static_cast<void>(count(folder.path("t"), memo));
  write_file(folder.path("t/a/x/three"), std::string(50'000, '3'));
  fs::remove_all(folder.path("t/b"));
  write_file(folder.path("t/c/d/four"), "4");
  TreeScan scan(later());
  EXPECT_EQ(scan.count(open_path(folder.path("t")), memo).bytes, du(folder.path("t")));
  EXPECT_EQ(scan.folders_reused(), 1U);  // a itself
}

TEST(TreeScan, DoesNotTrustAFolderThatHasJustChanged) {
  const TempFolder folder;
  write_file(folder.path("t/one"), "1");
  TreeMemo memo;
  static_cast<void>(count(folder.path("t"), memo, wall_now()));
  TreeScan scan(wall_now());
  static_cast<void>(scan.count(open_path(folder.path("t")), memo));
  EXPECT_EQ(scan.folders_read(), 1U);
}

TEST(TreeScan, ReadsFoldersWithHardLinksEveryTime) {
  const TempFolder folder;
  write_file(folder.path("t/one"), "1");
  fs::create_hard_link(folder.path("t/one"), folder.path("t/two"));
  TreeMemo memo;
  static_cast<void>(count(folder.path("t"), memo));
  TreeScan scan(later());
  EXPECT_EQ(scan.count(open_path(folder.path("t")), memo).inodes, 2U);
  EXPECT_EQ(scan.folders_read(), 1U);
}

TEST(TreeScan, DeepTreesNeedFewOpenFiles) {
  const TempFolder folder;
  constexpr int kDepth = 3000;
  fs::create_directory(folder.path("t"));
  Fd at = open_path(folder.path("t"));
  for (int i = 0; i < kDepth; ++i) {
    ASSERT_EQ(::mkdirat(at.get(), "deeper", 0755), 0);
    ASSERT_EQ(::mkdirat(at.get(), "side", 0755), 0);
    at = Fd(::openat(at.get(), "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  at.reset();
  TreeMemo memo;
  TreeScan scan(later());
  EXPECT_EQ(scan.count(open_path(folder.path("t")), memo).inodes, 2U * kDepth + 1);
  EXPECT_EQ(scan.problems().count, 0U) << scan.problems().first;
  EXPECT_EQ(count(folder.path("t"), memo).inodes, 2U * kDepth + 1);
}

TEST(TreeScan, NamesAreAnyBytes) {
  const TempFolder folder;
  write_file(folder.path("t/new\nline/\xff\xfe"), "x");
  write_file(folder.path("t/" + std::string(255, 'n') + "/f"), "x");
  TreeMemo memo;
  const Totals first = count(folder.path("t"), memo);
  EXPECT_EQ(first.inodes, 5U);
  EXPECT_EQ(count(folder.path("t"), memo), first);
}

TEST(TreeScan, AnyChangeGivesTheSameCountAsAFreshScan) {
  const TempFolder folder;
  std::mt19937 random(7);
  fs::create_directories(folder.path("t"));
  TreeMemo memo;
  std::vector<std::string> folders{folder.path("t")};
  for (int round = 0; round < 60; ++round) {
    for (int i = 0; i < 8; ++i) {
      const std::string& in = folders[random() % folders.size()];
      const std::string name = in + "/" + std::to_string(random() % 30);
      std::error_code ignored;
      switch (random() % 4) {
        case 0:
          fs::create_directories(name, ignored);
          if (!ignored && fs::is_directory(name)) folders.push_back(name);
          break;
        case 1:
          fs::remove_all(name, ignored);
          break;
        case 2:
          fs::rename(folders[random() % folders.size()], name, ignored);
          break;
        default:
          // In place, no name would change; that is what a memo does not see.
          if (!fs::exists(name)) write_file(name, std::string(random() % 20'000, 'r'));
      }
      if (!fs::exists(folders[0])) fs::create_directories(folders[0]);
    }
    TreeMemo none;
    ASSERT_EQ(count(folder.path("t"), memo), count(folder.path("t"), none)) << "round " << round;
    ASSERT_EQ(memo.size(), none.size());  // in another order
    ::usleep(10'000);                     // the next change gets another stamp
  }
}

}  // namespace
}  // namespace gobuildenv::agent::collector
