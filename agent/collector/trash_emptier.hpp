#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "agent/collector/trash.hpp"
#include "agent/step_hook.hpp"

/// Deletes what is in the trash, whatever a hostile pod has put there: links are removed and never
/// followed, nothing is opened but folders below the trash, depth costs neither stack nor open
/// files, and names may be any bytes.
namespace gobuildenv::agent::collector {

struct EmptyReport {
  std::uint64_t entries = 0;  ///< removed
  std::uint64_t failed = 0;   ///< still there
  std::string error;          ///< the first failure: path and cause
  bool finished = false;      ///< nothing is left
};

/// How fast. Gives up the processor between portions, so that builds get the disk's journal.
struct Pace {
  /// Entries a second; 0: as fast as it goes, by several threads.
  std::uint64_t entries_per_second = 0;
  /// Waits; true when the work should stop.
  std::function<bool(std::chrono::nanoseconds)> sleep;
  std::function<std::chrono::nanoseconds()> now;  ///< monotonic
};

/// Removes everything in the trash once. `stop` ends it after the current entry. Step: "entry".
[[nodiscard]] EmptyReport empty_trash(const Trash& trash, const Pace& pace,
                                      const std::atomic<bool>& stop, const StepHook& hook = {});

/// Puts the calling thread where it only gets what others leave: SCHED_IDLE, and the idle class of
/// I/O priorities.
void become_idle() noexcept;

/// Owns the thread that empties the trash in the background.
class TrashEmptier {
 public:
  /// Default of `entries_per_second`: what `bench/collector/run build` measures beside a build.
  static constexpr std::uint64_t kDefaultRate = 2000;

  /// Begins at once with what a crash left. Tells `done` after each round that removed something or
  /// failed.
  TrashEmptier(const Fd& root, std::uint64_t entries_per_second,
               std::function<void(const EmptyReport&)> done);
  /// Stops within one entry and joins; the rest is for the next start.
  ~TrashEmptier();
  TrashEmptier(const TrashEmptier&) = delete;
  TrashEmptier& operator=(const TrashEmptier&) = delete;

  /// There is something new.
  void wake();

 private:
  void run();
  bool wait(std::chrono::nanoseconds time);

  IoResult<Trash> trash_;
  std::uint64_t rate_;
  std::function<void(const EmptyReport&)> done_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool pending_ = true;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace gobuildenv::agent::collector
