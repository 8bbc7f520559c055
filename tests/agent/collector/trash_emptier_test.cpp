#include "agent/collector/trash_emptier.hpp"

#include <gtest/gtest.h>
#include <linux/fs.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "tests/agent/collector/fixture.hpp"

namespace gobuildenv::agent::collector {
namespace {

namespace fs = std::filesystem;
using testing::exists;
using testing::open_path;
using testing::TempFolder;
using testing::write_file;

class Emptying : public ::testing::Test {
 protected:
  Emptying() : root_(open_path(folder_.path())), trash_(Trash::open(root_).value()) {
    write_file(outside_ + "/precious", "gold");
    write_file(outside_ + "/deep/er/precious", "gold");
  }
  EmptyReport empty(const StepHook& hook = {}) { return empty_trash(trash_, {}, stop_, hook); }
  void expect_outside_untouched() const {
    EXPECT_EQ(testing::read_file(outside_ + "/precious"), "gold");
    EXPECT_EQ(testing::read_file(outside_ + "/deep/er/precious"), "gold");
  }
  bool is_empty() const { return fs::is_empty(trash_path_); }

  TempFolder folder_;
  std::string outside_ = folder_.path("outside");
  std::string trash_path_ = folder_.path("trash");
  Fd root_;
  Trash trash_;
  std::atomic<bool> stop_ = false;
};

TEST_F(Emptying, HostileTrees) {
  const std::string t = trash_path_ + "/unit";
  write_file(t + "/file", "x");
  fs::create_directory_symlink(outside_, t + "/link");
  fs::create_directory_symlink("/", t + "/root");
  fs::create_symlink(outside_ + "/precious", t + "/filelink");
  fs::create_symlink("../../outside", t + "/up");
  fs::create_hard_link(outside_ + "/precious", t + "/hard");
  ASSERT_EQ(::mkfifo((t + "/fifo").c_str(), 0600), 0);
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string socket_path = t + "/s";
  ASSERT_LT(socket_path.size(), sizeof address.sun_path);
  std::copy(socket_path.begin(), socket_path.end(), address.sun_path);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  write_file(t + "/new\nline/\x01\xff", "x");
  write_file(t + "/" + std::string(255, 'n'), "x");
  write_file(t + "/readonly/dir/file", "x");
  fs::permissions(t + "/readonly/dir", fs::perms(0555));
  fs::permissions(t + "/readonly", fs::perms(0000));
  write_file(trash_path_ + "/plain file", "x");
  fs::create_symlink("/", trash_path_ + "/toplink");
  const EmptyReport report = empty();
  EXPECT_TRUE(report.finished) << report.error;
  EXPECT_TRUE(is_empty());
  expect_outside_untouched();
}

TEST_F(Emptying, ImmutableNames) {
  const std::string t = trash_path_ + "/unit";
  write_file(t + "/dir/fixed", "x");
  const auto fix = [](const std::string& path) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    int flags = FS_IMMUTABLE_FL;
    return ::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags) == 0;
  };
  if (!fix(t + "/dir/fixed") || !fix(t + "/dir"))
    GTEST_SKIP() << "needs root and a file system with flags";
  const EmptyReport report = empty();
  EXPECT_TRUE(report.finished) << report.error;
  EXPECT_TRUE(is_empty());
}

TEST_F(Emptying, VeryDeepTrees) {
  constexpr int kDepth = 100'000;
  // tmpfs where there is one: a hundred thousand folders take 400 MB of a disk.
  const bool memory = ::access("/dev/shm", W_OK) == 0;
  const std::string base = memory ? "/dev/shm/gbe-deep-" + random_name() : folder_.path("deep");
  fs::create_directory(base);
  const Fd root = open_path(base);
  const auto trash = Trash::open(root);
  ASSERT_TRUE(trash.has_value());
  Fd at = open_path(base + "/trash");
  for (int i = 0; i < kDepth; ++i) {
    ASSERT_EQ(::mkdirat(at.get(), "d", 0755), 0) << i;
    at = Fd(::openat(at.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  at.reset();
  const EmptyReport report = empty_trash(*trash, {}, stop_);
  EXPECT_TRUE(report.finished) << report.error;
  EXPECT_EQ(report.entries, static_cast<std::uint64_t>(kDepth));
  fs::remove_all(base);
}

/// A process with an open folder in the trash swaps folders for links while they are emptied.
TEST_F(Emptying, RacesOfRenameNeverLeadOutside) {
  std::atomic<bool> done = false;
  for (int i = 0; i < 200; ++i) {
    write_file(trash_path_ + "/unit/" + std::to_string(i) + "/sub/f", "x");
  }
  fs::create_directory_symlink(outside_, trash_path_ + "/unit/trap");
  const Fd held = open_path(trash_path_ + "/unit");
  std::thread attacker([&] {
    for (unsigned i = 0; !done; ++i) {
      const std::string victim = std::to_string(i % 200);
      ::renameat2(held.get(), victim.c_str(), held.get(), "trap", RENAME_EXCHANGE);
      ::renameat2(held.get(), (victim + "/sub").c_str(), held.get(), "trap", RENAME_EXCHANGE);
      [[maybe_unused]] const int made = ::symlinkat("../../outside", held.get(), "more");
    }
  });
  EmptyReport report;
  for (int i = 0; i < 20; ++i) report = empty();
  done = true;
  attacker.join();
  report = empty();
  EXPECT_TRUE(report.finished) << report.error;
  EXPECT_TRUE(is_empty());
  expect_outside_untouched();
}

TEST_F(Emptying, NamesThatKeepAppearingDoNotHang) {
  std::atomic<bool> done = false;
  write_file(trash_path_ + "/unit/f", "x");
  const Fd held = open_path(trash_path_ + "/unit");
  std::thread attacker([&] {
    for (unsigned i = 0; !done; ++i) {
      const Fd made(::openat(held.get(), std::to_string(i % 50).c_str(),
                             O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    }
  });
  for (int i = 0; i < 5; ++i) static_cast<void>(empty());
  done = true;
  attacker.join();
  EXPECT_TRUE(empty().finished);
}

TEST_F(Emptying, GoesOnAfterBeingStopped) {
  for (int i = 0; i < 30; ++i) write_file(trash_path_ + "/unit/" + std::to_string(i), "x");
  int left = 7;
  const EmptyReport first = empty([&](std::string_view) { stop_ = --left == 0; });
  EXPECT_EQ(first.entries, 7U);
  EXPECT_FALSE(first.finished);
  stop_ = false;
  EXPECT_TRUE(empty().finished);
  EXPECT_TRUE(is_empty());
}

TEST_F(Emptying, CountsEachEntryOnceWhenSeveralThreadsTakePart) {
  constexpr std::uint64_t kWide = 5000;  // more than are shared out at once
  for (std::uint64_t i = 0; i < kWide; ++i) {
    write_file(trash_path_ + "/wide/" + std::to_string(i) + "/f", "x");
  }
  for (int i = 0; i < 10; ++i) {
    write_file(trash_path_ + "/small" + std::to_string(i) + "/a/b/c/d/f", "x");
  }
  std::string deep = trash_path_ + "/deep";
  for (int i = 0; i < 60; ++i) deep += "/d";
  write_file(deep + "/f", "x");
  write_file(trash_path_ + "/plain", "x");
  const EmptyReport report = empty();
  EXPECT_TRUE(report.finished) << report.error;
  EXPECT_TRUE(is_empty());
  EXPECT_EQ(report.entries, 1 + 2 * kWide + 10 * 6 + 62 + 1);
}

TEST_F(Emptying, SaysWhatSeveralThreadsCouldNotRemove) {
  for (int i = 0; i < 40; ++i) {
    write_file(trash_path_ + "/unit/" + std::to_string(i) + "/f", "x");
  }
  const std::string kept = trash_path_ + "/unit/7/mounted";
  fs::create_directories(kept);
  // In a mount namespace of its own, which ends with the test whatever becomes of it.
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount(outside_.c_str(), kept.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    GTEST_SKIP() << "may not mount here";
  }
  const EmptyReport report = empty();
  EXPECT_EQ(::umount(kept.c_str()), 0);
  EXPECT_FALSE(report.finished);
  EXPECT_EQ(report.failed, 1U);
  EXPECT_EQ(report.entries, 40U + 39U);
  EXPECT_NE(report.error.find("unit/7/mounted"), std::string::npos) << report.error;
  expect_outside_untouched();
}

TEST_F(Emptying, KeepsThePace) {
  for (int i = 0; i < 1000; ++i) write_file(trash_path_ + "/unit/" + std::to_string(i), "x");
  std::chrono::nanoseconds now{0};
  const Pace pace{.entries_per_second = 500,
                  .sleep =
                      [&](std::chrono::nanoseconds time) {
                        now += time;
                        return false;
                      },
                  .now = [&] { return now; }};
  EXPECT_TRUE(empty_trash(trash_, pace, stop_).finished);
  EXPECT_EQ(now, std::chrono::seconds(2));  // 1000 of 1001 entries, in whole portions
}

TEST_F(Emptying, InTheBackground) {
  write_file(trash_path_ + "/left/from/a/crash", "x");
  std::mutex mutex;
  std::condition_variable told;
  std::uint64_t removed = 0;
  int cpu = -1;
  long io = -1;
  TrashEmptier emptier(root_, 0, [&](const EmptyReport& report) {
    const std::lock_guard lock(mutex);
    removed += report.entries;
    cpu = ::sched_getscheduler(0);
    io = ::syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);
    told.notify_all();
  });
  // Without a bound of its own: a thread of idle priority waits for every build on the machine.
  const auto wait_for = [&](std::uint64_t want) {
    std::unique_lock lock(mutex);
    told.wait(lock, [&] { return removed >= want; });
    EXPECT_EQ(removed, want);
  };
  wait_for(4);
  EXPECT_EQ(cpu, SCHED_IDLE) << "builds come first";
  EXPECT_EQ(IOPRIO_PRIO_CLASS(io), IOPRIO_CLASS_IDLE);
  write_file(trash_path_ + "/more", "x");
  emptier.wake();
  wait_for(5);
}

}  // namespace
}  // namespace gobuildenv::agent::collector
