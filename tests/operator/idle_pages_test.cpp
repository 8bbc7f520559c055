#include "operator/idle_pages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

namespace gobuildenv::cli {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(IdlePages, AreGivenBackOnceTheStartIsOver) {
  IdlePages pages;
  EXPECT_FALSE(pages.look(milliseconds(150)));
  EXPECT_TRUE(pages.look(milliseconds(155)));
  EXPECT_FALSE(pages.look(milliseconds(160)));
}

TEST(IdlePages, AreGivenBackAgainAfterWorkHasEnded) {
  IdlePages pages;
  ASSERT_TRUE(pages.look(milliseconds(10)));
  EXPECT_FALSE(pages.look(milliseconds(500)));
  EXPECT_FALSE(pages.look(milliseconds(900)));
  EXPECT_TRUE(pages.look(milliseconds(901)));
  EXPECT_FALSE(pages.look(milliseconds(902)));
}

TEST(IdlePages, StayWhereOnlyWaitingHasCostTime) {
  IdlePages pages;
  ASSERT_TRUE(pages.look(milliseconds(10)));
  for (int used = 15; used < 110; used += 5) EXPECT_FALSE(pages.look(milliseconds(used)));
  EXPECT_TRUE(pages.look(milliseconds(115)));
}

std::string mapping(const std::string& head, int anonymous_kib) {
  return head + "\nSize: 8 kB\nRss: 4 kB\nAnonymous: " + std::to_string(anonymous_kib) +
         " kB\nAnonHugePages: 0 kB\nVmFlags: rd ex mr mw me\n";
}

TEST(CodeMappings, AreThoseOfFilesWithoutPagesOfOurOwn) {
  const std::string text =
      mapping("1000-2000 r--p 00000000 fe:00 12   /usr/bin/a", 0) +
      mapping("2000-5000 r-xp 00001000 fe:00 12   /usr/bin/a", 0) +
      mapping("5000-6000 rw-p 00004000 fe:00 12   /usr/bin/a", 4) +
      mapping("6000-7000 rwxp 00005000 fe:00 12   /usr/bin/a", 0) +
      mapping("7000-8000 r-xp 00000000 00:00 0", 0) +
      mapping("8000-9000 r-xp 00000000 fe:00 13   /lib/patched.so", 4) +
      mapping("7f00000000ab-7f00000000cd r-xp 00000000 fe:00 14   /lib/a file.so (deleted)", 0) +
      mapping("ffff0000-ffff1000 r-xp 00000000 00:00 0   [vdso]", 0);
  EXPECT_THAT(code_mappings(text),
              ElementsAre(Pair(0x2000U, 0x5000U), Pair(0x7f00000000abU, 0x7f00000000cdU)));
}

TEST(CodeMappings, AreNoneOfOtherText) {
  EXPECT_THAT(code_mappings(""), IsEmpty());
  EXPECT_THAT(code_mappings("no smaps\n1000-2000 r-xp 0 0:0 1 /a\nAnonymous: 0 kB\n"), IsEmpty());
  EXPECT_THAT(code_mappings("2000-1000 r-xp 0 0:0 1 /a\nAnonymous: 0 kB\n"), IsEmpty());
}

std::size_t resident_code_kib() {
  std::ifstream in("/proc/self/smaps");
  std::string line;
  std::size_t sum = 0;
  for (bool code = false; std::getline(in, line);) {
    if (line.find(" r-xp ") != std::string::npos) code = line.find('/') != std::string::npos;
    if (line.find("-p ") != std::string::npos) code = false;
    if (code && line.starts_with("Rss:")) sum += std::stoul(line.substr(4));
  }
  return sum;
}

TEST(GiveBackCode, LeavesARunningProcessWithLess) {
  const auto before = resident_code_kib();
  ASSERT_GT(before, 0U);
  EXPECT_GT(give_back_code(), 0U);
  EXPECT_LT(resident_code_kib(), before);
  EXPECT_GT(process_cpu().count(), 0);
}

}  // namespace
}  // namespace gobuildenv::cli
