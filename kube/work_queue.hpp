#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "kube/client.hpp"
#include "kube/clock.hpp"
#include "kube/metrics.hpp"

namespace gobuildenv::kube {

/// Which of the waiting keys goes first; keys of one priority keep their order.
enum class Priority : std::uint8_t {
  Low,     ///< the initial list, a resync: nobody waits for it
  Normal,  ///< new and changed objects, retries, delayed adds
};

struct ObjectKeyHash {
  std::size_t operator()(const ObjectKey& key) const noexcept;
};

struct WorkQueueOptions {
  std::string name;  ///< the metrics' label `name`
  /// Delay of the n-th retry in a row (n from 0): base · 2ⁿ, at most max.
  std::chrono::milliseconds retry_base{5};
  std::chrono::milliseconds retry_max{300'000};
};

/// Keys to reconcile, each at most once at a time: a key added while it waits is not added twice;
/// one added while a worker has it comes back when that worker says done(). Thread-safe.
class WorkQueue {
 public:
  /// `clock` outlives the queue; `metrics` may be null.
  WorkQueue(Clock& clock, WorkQueueOptions options, Metrics* metrics = nullptr);
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  /// Makes the key ready now. A key that waits with Low is raised by Normal, never lowered.
  void add(const ObjectKey& key, Priority priority = Priority::Normal);
  /// Makes the key ready after `delay`; the earliest of several such requests counts.
  void add_after(const ObjectKey& key, Clock::Duration delay, Priority priority = Priority::Normal);
  /// add_after with the key's own exponential delay, which doubles until forget().
  void add_rate_limited(const ObjectKey& key, Priority priority = Priority::Normal);
  /// The key's failures are over: its next retry starts with the base delay again.
  void forget(const ObjectKey& key);

  /// Waits for a key and marks it as being processed. Empty once shut_down() was called and (with
  /// Drain::Waiting) nothing is left.
  std::optional<ObjectKey> get();
  /// As get(), but does not wait.
  std::optional<ObjectKey> try_get();
  /// Each key from get() is given back exactly once.
  void done(const ObjectKey& key);

  enum class Drain : std::uint8_t {
    Processing,  ///< what waits is dropped; workers finish what they hold
    Waiting,     ///< what waits (not what is delayed) is still handed out
  };
  /// Later adds do nothing; get() ends. May be called again to go from Waiting to Processing.
  void shut_down(Drain drain = Drain::Processing);

  [[nodiscard]] std::size_t depth() const;       ///< keys ready and waiting
  [[nodiscard]] std::size_t delayed() const;     ///< keys waiting for their time
  [[nodiscard]] std::size_t processing() const;  ///< keys held by workers
  [[nodiscard]] int failures(const ObjectKey& key) const;
  /// How long the longest-held key has been held; 0 when none is.
  [[nodiscard]] Clock::Duration longest_processing() const;

 private:
  struct Item {
    Priority priority = Priority::Low;
    bool waiting = false;      ///< in a ready list
    bool processing = false;   ///< held by a worker
    bool again = false;        ///< added while held
    std::uint64_t ticket = 0;  ///< the one entry of the ready lists which counts
    Clock::TimePoint ready_since{};
    Clock::TimePoint started{};
    std::optional<Clock::TimePoint> due;  ///< when delayed
    Priority due_priority = Priority::Low;
  };
  struct Ready {
    ObjectKey key;
    std::uint64_t ticket;
  };

  void add_locked(const ObjectKey& key, Priority priority);
  void delay_locked(const ObjectKey& key, Clock::TimePoint due, Priority priority);
  void push_locked(const ObjectKey& key, Item& item);
  void release_due_locked();
  std::optional<ObjectKey> pop_locked();
  void drop_if_idle_locked(const ObjectKey& key);
  void publish_locked();

  Clock& clock_;
  const WorkQueueOptions options_;
  std::optional<WorkQueueMetrics> metrics_;
  Metrics::Registration collector_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::unordered_map<ObjectKey, Item, ObjectKeyHash> items_;
  std::deque<Ready> ready_[2];  ///< by priority; entries with an old ticket are skipped
  std::set<std::pair<Clock::TimePoint, ObjectKey>> due_;
  std::unordered_map<ObjectKey, int, ObjectKeyHash> failures_;
  std::size_t waiting_ = 0;
  std::size_t processing_ = 0;
  std::uint64_t next_ticket_ = 0;
  bool shutting_down_ = false;
  bool drop_waiting_ = false;
};

}  // namespace gobuildenv::kube
