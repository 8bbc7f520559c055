#include "agent/collector/trash_emptier.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "agent/collector/text.hpp"

namespace gobuildenv::agent::collector {

namespace {

/// Deeper folders are first moved up into the trash itself, so that no tree is deep.
constexpr std::size_t kMaxDepth = 24;
/// Times a folder is read again because names appeared while it was emptied.
constexpr int kRounds = 4;
constexpr std::chrono::milliseconds kPortion{20};
/// At full speed: a disk asked for one thing after the other mostly waits for the last.
constexpr std::size_t kThreads = 4;
/// Folders to share out among them: so many that none is left alone with a large rest for long, and
/// no more than memory and open files allow.
constexpr std::size_t kEnoughParts = 128;
constexpr std::size_t kMostParts = 4096;
constexpr std::size_t kPartsDepth = 4;

/// Clears immutable and append-only flags of a file or a folder, which only root can set. Nothing
/// but those two is ever opened: opening a device may do things.
bool make_mutable(int dir, const std::string& name) {
  const auto path = open_beneath(dir, name, O_PATH | O_NOFOLLOW);
  if (!path) return false;
  const auto stat = stat_at(path->get(), "");
  if (!stat || (stat->type != EntryType::File && stat->type != EntryType::Folder)) return false;
  const std::string again = fmt::format("/proc/self/fd/{}", path->get());
  const Fd fd(::open(again.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  int flags = 0;
  if (!fd || ::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) != 0) return false;
  constexpr int kFixed = FS_IMMUTABLE_FL | FS_APPEND_FL;
  if ((flags & kFixed) == 0) return false;
  flags &= ~kFixed;
  return ::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags) == 0;
}

/// The folder's owner may have made it unwritable; modules are.
void make_writable(int dir) {
  constexpr mode_t kOwner = 0700;
  if (::fchmod(dir, kOwner) != 0 && errno == EPERM && make_mutable(dir, ".")) {
    static_cast<void>(::fchmod(dir, kOwner));
  }
}

/// A folder in the open folder `dir`, `depth` levels below the trash.
struct Part {
  int dir;
  std::string name;
  std::size_t depth;
};

/// Folders that can be emptied side by side: all of the first level that has many.
struct Parts {
  explicit Parts(int trash) {
    list(trash, 0);
    for (std::size_t depth = 1; depth < kPartsDepth && folders.size() < kEnoughParts; ++depth) {
      for (const Part& above : std::exchange(folders, {})) {
        // One that cannot be opened just so is left to the pass that comes after.
        if (auto fd = open_folder(above.dir, above.name)) {
          parents.push_back(std::move(*fd));
          list(parents.back().get(), depth);
        }
      }
    }
  }

  std::vector<Part> folders;

 private:
  void list(int dir, std::size_t depth) {
    static_cast<void>(for_each_entry(dir, buffer, [&](const Entry& entry) {
      if (entry.type != EntryType::Folder || folders.size() >= kMostParts) return;
      folders.push_back({dir, std::string(entry.name), depth});
    }));
  }

  std::vector<Fd> parents;
  std::vector<char> buffer;
};

class Emptier {
 public:
  Emptier(const Trash& trash, const Pace& pace, const std::atomic<bool>& stop, const StepHook& hook)
      : trash_(trash), pace_(pace), stop_(stop), hook_(hook) {
    if (pace_.entries_per_second > 0) started_ = pace_.now();
  }

  /// Removes parts until others have taken the last; gives the entries removed. What could not be
  /// removed is left without a word.
  std::uint64_t take_from(const std::vector<Part>& parts, std::atomic<std::size_t>& next) {
    for (std::size_t i = next++; i < parts.size() && !stopped(); i = next++) {
      static_cast<void>(remove_folder(parts[i].dir, parts[i].name, parts[i].depth, ""));
    }
    return report_.entries;
  }

  EmptyReport run() {
    // What deep trees are made of comes back here as new names, so look until nothing is new.
    for (bool progress = true; progress && !stopped();) {
      const std::uint64_t before = report_.entries + moved_;
      report_.failed = 0;
      report_.error.clear();
      static_cast<void>(empty_folder(trash_.folder().get(), 0, ""));
      progress = report_.entries + moved_ > before && (moved_ > 0 || report_.failed > 0);
      moved_ = 0;
    }
    report_.finished = !stopped() && report_.failed == 0;
    return report_;
  }

 private:
  bool stopped() const { return stopped_ || stop_.load(std::memory_order_relaxed); }

  void fail(const std::string& path, int error) {
    if (report_.failed++ == 0) {
      report_.error = printable(path) + ": " + std::generic_category().message(error);
    }
  }

  /// One entry has gone.
  void count() {
    report_.entries += 1;
    step(hook_, "entry");
    if (pace_.entries_per_second == 0) return;
    const std::uint64_t portion = std::max<std::uint64_t>(
        1, pace_.entries_per_second * static_cast<std::uint64_t>(kPortion.count()) / 1000);
    if (++in_portion_ < portion) return;
    in_portion_ = 0;
    started_ += std::chrono::nanoseconds(1'000'000'000 * portion / pace_.entries_per_second);
    const auto now = pace_.now();
    if (started_ > now) {
      if (pace_.sleep(started_ - now)) stopped_ = true;
    } else {
      started_ = now;  // the disk is slower than the pace; what was missed is not made up for
    }
  }

  int remove(int dir, const std::string& name, int flags) {
    if (::unlinkat(dir, name.c_str(), flags) == 0) return 0;
    int error = errno;
    if (error == EACCES) {
      make_writable(dir);
    } else if (error == EPERM) {
      static_cast<void>(make_mutable(dir, name));
      static_cast<void>(make_mutable(dir, "."));
    } else {
      return error;
    }
    return ::unlinkat(dir, name.c_str(), flags) == 0 ? 0 : errno;
  }

  /// Removes all in `dir`; false when something is left.
  bool empty_folder(int dir, std::size_t depth, const std::string& path) {
    bool clean = true;
    std::vector<std::string> folders;
    const std::error_code error = for_each_entry(dir, buffer_, [&](const Entry& entry) {
      if (stopped()) return;
      std::string name(entry.name);
      if (entry.type != EntryType::Folder) {
        const int failure = remove(dir, name, 0);
        if (failure == 0) return count();
        if (failure == ENOENT) return;
        if (failure != EISDIR) {
          clean = false;
          return fail(path + "/" + name, failure);
        }
      }
      folders.push_back(std::move(name));
    });
    if (error) {
      fail(path, error.value());
      return false;
    }
    for (const std::string& name : folders) {
      if (stopped()) return false;
      clean &= remove_folder(dir, name, depth, path + "/" + name);
    }
    return clean && !stopped();
  }

  bool remove_folder(int dir, const std::string& name, std::size_t depth, const std::string& path) {
    if (depth >= kMaxDepth) {
      // Deep: up with it, to be looked at from there.
      if (const std::error_code error = trash_.take(dir, name)) {
        if (error == std::errc::no_such_file_or_directory) return true;
        make_writable(dir);
        if (const std::error_code again = trash_.take(dir, name)) {
          fail(path, again.value());
          return false;
        }
      }
      moved_ += 1;
      return true;
    }
    auto fd = open_folder(dir, name);
    if (!fd && fd.error() == std::errc::permission_denied) {
      static_cast<void>(::fchmodat(dir, name.c_str(), 0700, AT_SYMLINK_NOFOLLOW));
      fd = open_folder(dir, name);
    }
    if (!fd) {
      // Swapped for a link or a file since it was listed: removed as what it is now.
      const int failure = remove(dir, name, 0);
      if (failure == 0) count();
      if (failure == 0 || failure == ENOENT) return true;
      fail(path, fd.error().value());
      return false;
    }
    int failure = 0;
    for (int round = 0; round < kRounds; ++round) {
      if (!empty_folder(fd->get(), depth + 1, path)) return false;
      failure = remove(dir, name, AT_REMOVEDIR);
      if (failure == 0) count();
      if (failure == 0 || failure == ENOENT) return true;
      if (failure != ENOTEMPTY) break;  // else names have appeared meanwhile
    }
    fail(path, failure);
    return false;
  }

  const Trash& trash_;
  const Pace& pace_;
  const std::atomic<bool>& stop_;
  const StepHook& hook_;
  EmptyReport report_;
  std::uint64_t moved_ = 0;
  std::uint64_t in_portion_ = 0;
  std::chrono::nanoseconds started_{0};
  bool stopped_ = false;
  std::vector<char> buffer_;  ///< one for all levels: a folder is listed before it is descended
};

/// By several threads, which inherit the caller's priorities; gives the entries removed.
std::uint64_t empty_side_by_side(const Trash& trash, const Pace& pace,
                                 const std::atomic<bool>& stop, const StepHook& hook) {
  const Parts parts(trash.folder().get());
  if (parts.folders.size() < 2) return 0;
  std::atomic<std::size_t> next = 0;
  std::atomic<std::uint64_t> entries = 0;
  const auto work = [&] {
    entries += Emptier(trash, pace, stop, hook).take_from(parts.folders, next);
  };
  std::vector<std::thread> others;
  try {
    while (others.size() + 1 < kThreads) others.emplace_back(work);
  } catch (const std::system_error&) {
    // No more threads to be had: those there are do it.
  }
  work();
  for (std::thread& other : others) other.join();
  return entries;
}

}  // namespace

EmptyReport empty_trash(const Trash& trash, const Pace& pace, const std::atomic<bool>& stop,
                        const StepHook& hook) {
  // A hook hears of one entry after the other.
  const bool together = pace.entries_per_second == 0 && !hook;
  const std::uint64_t before = together ? empty_side_by_side(trash, pace, stop, hook) : 0;
  EmptyReport report = Emptier(trash, pace, stop, hook).run();
  report.entries += before;
  return report;
}

void become_idle() noexcept {
  const sched_param none{};
  static_cast<void>(::sched_setscheduler(0, SCHED_IDLE, &none));
  static_cast<void>(
      ::syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)));
}

TrashEmptier::TrashEmptier(const Fd& root, std::uint64_t entries_per_second,
                           std::function<void(const EmptyReport&)> done)
    : trash_(Trash::open(root)),
      rate_(entries_per_second),
      done_(std::move(done)),
      thread_([this] { run(); }) {}

TrashEmptier::~TrashEmptier() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void TrashEmptier::wake() {
  {
    const std::lock_guard lock(mutex_);
    pending_ = true;
  }
  changed_.notify_all();
}

bool TrashEmptier::wait(std::chrono::nanoseconds time) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, time, [this] { return stop_.load(); });
}

void TrashEmptier::run() {
  become_idle();
  const Pace pace{.entries_per_second = rate_,
                  .sleep = [this](std::chrono::nanoseconds time) { return wait(time); },
                  .now = [] { return std::chrono::steady_clock::now().time_since_epoch(); }};
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return pending_ || stop_; });
      if (stop_) return;
      pending_ = false;
    }
    EmptyReport report;
    if (trash_) {
      report = empty_trash(*trash_, pace, stop_);
    } else {
      report.failed = 1;
      report.error = "trash: " + trash_.error().message();
    }
    if (report.entries > 0 || report.failed > 0) done_(report);
  }
}

}  // namespace gobuildenv::agent::collector
