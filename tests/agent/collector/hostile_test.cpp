// A pod fills what it can write to and races renames against whole runs of the collector.
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "agent/collector/trash_emptier.hpp"
#include "tests/agent/collector/node_root.hpp"

namespace gobuildenv::agent::collector {
namespace {

namespace fs = std::filesystem;
using testing::everything_goes;
using testing::exists;
using testing::FixedRoots;
using testing::hash_of;
using testing::kBuilds;
using testing::kModules;
using testing::NodeRoot;
using testing::open_path;
using testing::read_file;
using testing::TempFolder;
using testing::TestClock;
using testing::write_file;

constexpr const char* kPod = "pods/csi-1";
constexpr const char* kRecord = R"({"source":"pods/csi-1/upper","pod":{"name":"evil"}})";

int flags_of(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  int flags = 0;
  return fd && ::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) == 0 ? flags : -1;
}

/// As chattr: other flags stay as they are.
bool set_flags(const std::string& path, int flags) {
  const int all = flags_of(path);
  if (all == -1) return false;
  flags |= all & ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
  const Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  return ::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags) == 0;
}

void make_socket(const std::string& path) {
  // The kernel wants short names: bound by way of an open folder.
  const Fd parent = open_path(fs::path(path).parent_path());
  const std::string name =
      "/proc/self/fd/" + std::to_string(parent.get()) + "/" + fs::path(path).filename().string();
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(name.begin(), name.end(), address.sun_path);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
}

class Hostile : public ::testing::Test {
 protected:
  Hostile() : root_(folder_.path("root")) {
    // What a pod would like to have deleted, changed or shown.
    for (const char* name :
         {"precious", "deep/er/precious", "m@v1.0.0/go.mod", "@v/v1.0.0.zip", "@v/v1.0.0.lock"}) {
      write_file(outside_ + "/" + name, "gold");
    }
    testing::make_build(outside_, "0d", "0d11", ::time(nullptr) - 9 * 3600);
    for (const auto& entry : fs::recursive_directory_iterator(outside_)) {
      fs::permissions(entry.path(), entry.is_directory() ? fs::perms(0555) : fs::perms(0444));
    }
    fs::permissions(outside_, fs::perms(0555));
    before_ = look();
    static_cast<void>(collect(FixedRoots({Root{"", "everything"}})));
    clock_.pass(std::chrono::hours(10));
    root_.fill();
  }
  ~Hostile() override {
    for (fs::recursive_directory_iterator at(folder_.path()), end; at != end; ++at) {
      if (!at->is_symlink() && (at->is_directory() || at->is_regular_file())) {
        set_flags(at->path(), 0);
      }
    }
  }

  tl::expected<RunReport, std::string> collect(const RootSource& roots = FixedRoots()) {
    return Collector::open({.root = root_.path(), .clock = [this] { return clock_.read(); }})
        .value()
        .run(roots, everything_goes());
  }
  EmptyReport empty() {
    const std::atomic<bool> stop = false;
    return empty_trash(Trash::open(open_path(root_.path())).value(), {}, stop);
  }
  /// Everything outside: names, contents, modes, flags, times of change.
  std::vector<std::string> look() const {
    std::vector<std::string> out;
    for (const auto& entry : fs::recursive_directory_iterator(outside_)) {
      struct stat raw {};
      ::lstat(entry.path().c_str(), &raw);
      out.push_back(entry.path().string() + " " + std::to_string(raw.st_mode) + " " +
                    std::to_string(raw.st_mtim.tv_sec) + " " + std::to_string(raw.st_nlink) + " " +
                    std::to_string(flags_of(entry.path())) + " " +
                    (entry.is_regular_file() ? read_file(entry.path()).substr(0, 20) : ""));
    }
    std::sort(out.begin(), out.end());
    return out;
  }

  TempFolder folder_;
  std::string outside_ = folder_.path("outside");
  NodeRoot root_;
  TestClock clock_;
  std::vector<std::string> before_;
};

/// Everything a pod may put into its own part, and that part's whole life.
TEST_F(Hostile, APodsPartIsKeptWhileItIsUsedAndThenGoesAlone) {
  const std::string upper = root_.at(std::string(kPod) + "/upper");
  write_file(upper + "/cache/file", "x");
  write_file(root_.at("volumes/csi-1.json"), kRecord);
  fs::create_directory_symlink("/", upper + "/root");
  fs::create_directory_symlink(outside_, upper + "/outside");
  fs::create_symlink("../../../ages.json", upper + "/ages");
  fs::create_symlink("../..", upper + "/up");
  fs::create_hard_link(outside_ + "/precious", upper + "/hard");
  make_socket(upper + "/socket");
  ASSERT_EQ(::mkfifo((upper + "/fifo").c_str(), 0666), 0);
  write_file(upper + "/new\nline/\x01\xff", "x");
  write_file(upper + "/" + std::string(255, 'n'), "x");
  write_file(upper + "/closed/in", "x");
  fs::permissions(upper + "/closed", fs::perms(0000));
  write_file(upper + "/fixed/file", "x");
  write_file(upper + "/log", "x");
  const bool flags = set_flags(upper + "/fixed/file", FS_IMMUTABLE_FL) &&
                     set_flags(upper + "/fixed", FS_IMMUTABLE_FL) &&
                     set_flags(upper + "/log", FS_APPEND_FL);

  for (int run = 0; run < 2; ++run) {
    const auto report = collect();
    ASSERT_TRUE(report.has_value()) << report.error();
    EXPECT_TRUE(exists(upper + "/cache/file")) << "a volume uses it";
  }
  fs::remove(root_.at("volumes/csi-1.json"));
  const auto report = collect();
  ASSERT_TRUE(report.has_value()) << report.error();
  EXPECT_EQ(report->failures, 0U);
  EXPECT_FALSE(exists(root_.at(kPod)));
  const EmptyReport emptied = empty();
  EXPECT_TRUE(emptied.finished) << emptied.error;
  EXPECT_TRUE(fs::is_empty(root_.at("trash")));
  EXPECT_EQ(read_file(outside_ + "/precious"), "gold");
  EXPECT_EQ(look(), before_);
  if (!flags) GTEST_SKIP() << "all but immutable names: those need root and ext4";
}

/// Flags in a shared cache, where only the agent writes: said, and nothing else suffers.
TEST_F(Hostile, AnImmutableModuleStaysWholeAndIsNamed) {
  const std::string module = root_.at(std::string(kModules) + "/example.com/a@v1.0.0");
  if (!set_flags(module, FS_IMMUTABLE_FL))
    GTEST_SKIP() << "needs root and a file system with flags";
  const auto report = collect();
  ASSERT_TRUE(report.has_value()) << report.error();
  EXPECT_EQ(report->failures, 1U);
  const auto failed = std::find_if(report->outcomes.begin(), report->outcomes.end(),
                                   [](const Outcome& o) { return o.result == Removal::Failed; });
  ASSERT_NE(failed, report->outcomes.end());
  EXPECT_NE(failed->text.find("example.com/a@v1.0.0: Operation not permitted"), std::string::npos)
      << failed->text;
  EXPECT_TRUE(exists(module + "/go.mod"));
  EXPECT_TRUE(
      exists(root_.at(std::string(kModules) + "/cache/download/example.com/a/@v/v1.0.0.ziphash")));
  EXPECT_FALSE(exists(root_.at(std::string(kModules) + "/example.com/b@v1.0.0")));
}

/// One thread swaps folders of every cache for links to what is outside, while the collector runs
/// over and over and its trash is emptied.
TEST_F(Hostile, RacesOfRenameAgainstWholeRuns) {
  const std::string upper = root_.at(std::string(kPod) + "/upper");
  const std::string modules = root_.at(kModules);
  const std::string builds = root_.at(kBuilds);
  // A link for each kind of place, exchanged with what is there.
  const std::vector<std::pair<std::string, std::string>> swaps{
      {modules + "/example.com/a@v1.0.0", outside_ + "/m@v1.0.0"},
      {modules + "/example.com/b@v1.0.0/pkg0", outside_ + "/deep"},
      {modules + "/example.com", outside_},
      {modules + "/cache/download/example.com/a/@v", outside_ + "/@v"},
      {modules + "/cache/download/example.com/b/@v/v1.0.0.lock", outside_ + "/@v/v1.0.0.lock"},
      {modules + "/cache/download/example.com/b/@v/v1.0.0.zip", outside_ + "/@v/v1.0.0.zip"},
      {builds + "/00", outside_ + "/0d"},
      {builds + "/01", outside_ + "/0d"},
      {upper, outside_},
      {upper + "/d1/upper", outside_ + "/deep"},
      {root_.at(kPod), outside_},
  };
  constexpr unsigned kSwaps = 100;
  constexpr unsigned kCollected = 20;
  // How often each of the two gets to run is the machine's affair: on until both have had enough.
  constexpr int kRounds = 8;
  constexpr int kMostRounds = 200;
  std::atomic<unsigned> swapped = 0;
  unsigned collected = 0;
  const auto enough = [&] { return swapped > kSwaps && collected > kCollected; };
  for (int round = 0; round < kRounds || (round < kMostRounds && !enough()); ++round) {
    // Nothing of this follows a link: what the last round left is removed first.
    for (const char* part : {"caches", "pods", "toolchains"}) fs::remove_all(root_.at(part));
    root_.fill();
    for (int i = 0; i < 40; ++i) write_file(upper + "/d" + std::to_string(i) + "/upper/f", "x");
    std::atomic<bool> done = false;
    std::thread attacker([&] {
      for (std::size_t i = 0; !done; ++i) {
        const auto& [place, target] = swaps[i % swaps.size()];
        const std::string link = folder_.path("link" + std::to_string(i % swaps.size()));
        std::error_code ignored;
        fs::create_symlink(target, link, ignored);
        if (::renameat2(AT_FDCWD, place.c_str(), AT_FDCWD, link.c_str(), RENAME_EXCHANGE) != 0) {
          continue;
        }
        ++swapped;
        if (i % 3 == 0) std::this_thread::yield();
        ::renameat2(AT_FDCWD, place.c_str(), AT_FDCWD, link.c_str(), RENAME_EXCHANGE);
      }
    });
    for (const unsigned before = swapped; swapped == before;) std::this_thread::yield();
    for (int run = 0; run < 3; ++run) {
      const auto report = collect();
      EXPECT_TRUE(report.has_value());
      if (!report) break;
      for (const Outcome& outcome : report->outcomes) {
        collected += outcome.result == Removal::Done ? 1U : 0U;
      }
      static_cast<void>(empty());
    }
    done = true;
    attacker.join();
  }
  EXPECT_GT(swapped, kSwaps);
  EXPECT_GT(collected, kCollected);
  EXPECT_EQ(look(), before_);
}

}  // namespace
}  // namespace gobuildenv::agent::collector
