#include "agent/collector/fd.hpp"

#include <gtest/gtest.h>

#include "tests/agent/collector/fixture.hpp"

namespace gobuildenv::agent::collector {
namespace {

using testing::open_path;
using testing::TempFolder;
using testing::write_file;

TEST(ReadAt, TheWholeFileUpToTheLimit) {
  const TempFolder folder;
  const Fd dir = open_path(folder.path());
  constexpr std::size_t kLimit = 10'000;
  for (const std::size_t size : {0U, 1U, 4095U, 4096U, 4097U, 8192U, 9999U, 10'000U}) {
    const std::string text(size, 'x');
    write_file(folder.path("file"), text);
    EXPECT_EQ(read_at(dir.get(), "file", kLimit), text) << size;
  }
  write_file(folder.path("file"), std::string(kLimit + 1, 'x'));
  EXPECT_EQ(read_at(dir.get(), "file", kLimit).error(), std::errc::file_too_large);
  EXPECT_EQ(read_at(dir.get(), "none", kLimit).error(), std::errc::no_such_file_or_directory);
  EXPECT_EQ(read_at(dir.get(), ".", kLimit).error(), std::errc::invalid_argument);
}

/// A file whose length the kernel does not say.
TEST(ReadAt, FilesOfProc) {
  const Fd proc = open_path("/proc/sys/kernel/random");
  const auto id = read_at(proc.get(), "boot_id", 64);
  ASSERT_TRUE(id.has_value()) << id.error().message();
  EXPECT_EQ(id->size(), 37U);
}

/// The agent reads ages.json at its start: a high limit must not cost its memory.
TEST(ReadAt, TakesMemoryForTheFileNotForTheLimit) {
  const TempFolder folder;
  write_file(folder.path("file"), "small");
  const auto text = read_at(open_path(folder.path()).get(), "file", std::size_t{256} << 20U);
  ASSERT_EQ(text, "small");
  EXPECT_LT(text->capacity(), 10'000U);
}

}  // namespace
}  // namespace gobuildenv::agent::collector
