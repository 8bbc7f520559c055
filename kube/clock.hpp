#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

namespace gobuildenv::kube {

/// Time as the client runtime sees it. Decisions never read a clock of their own: they get one of
/// these, so that a test can move an hour in a microsecond.
class Clock {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;

  virtual ~Clock() = default;
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;

  /// CLOCK_MONOTONIC: not moved by settings of the wall clock, stands still while the machine
  /// sleeps. All deadlines are in this time.
  [[nodiscard]] virtual TimePoint now() const noexcept = 0;
  /// CLOCK_BOOTTIME: as now(), but goes on while the machine sleeps. Only a lease needs it.
  [[nodiscard]] virtual Duration boot_time() const noexcept = 0;
  /// Wall time, for what people and other processes read (Lease times); never for decisions.
  [[nodiscard]] virtual std::chrono::system_clock::time_point wall_now() const noexcept = 0;
  /// Waits on `wake` with `lock` held until it is notified or `until` has come. May return early:
  /// callers loop over their own condition and compare now() themselves.
  virtual void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake,
                          TimePoint until) = 0;
};

/// The kernel's clocks.
class RealClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const noexcept override;
  [[nodiscard]] Duration boot_time() const noexcept override;
  [[nodiscard]] std::chrono::system_clock::time_point wall_now() const noexcept override;
  void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake,
                  TimePoint until) override;
};

/// A clock that stands still until a test advances it. Waiters look at it every millisecond of real
/// time, so advance() needs no knowledge of who waits.
class FakeClock final : public Clock {
 public:
  FakeClock();
  [[nodiscard]] TimePoint now() const noexcept override;
  [[nodiscard]] Duration boot_time() const noexcept override;
  [[nodiscard]] std::chrono::system_clock::time_point wall_now() const noexcept override;
  void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake,
                  TimePoint until) override;
  /// Time passes for everybody: monotonic, boot and wall.
  void advance(Duration by) noexcept;
  /// The machine slept: boot and wall time go on, the monotonic clock does not.
  void suspend(Duration by) noexcept;
  /// Somebody set the wall clock; the other two do not notice.
  void jump_wall(Duration by) noexcept;
  /// How often a waiter has looked at the clock. A test that advances step by step waits for this
  /// to grow, so that a busy machine does not make its threads miss a step.
  [[nodiscard]] std::uint64_t looks() const noexcept { return looks_.load(); }

 private:
  std::atomic<Duration::rep> monotonic_;
  std::atomic<Duration::rep> boot_;
  std::atomic<Duration::rep> wall_;
  std::atomic<std::uint64_t> looks_{0};
};

/// A stop request that sleepers notice at once. One owner calls stop(); any number of threads
/// sleep.
class StopSignal {
 public:
  /// Ends every present and future sleep.
  void stop() noexcept;
  [[nodiscard]] bool stopped() const noexcept { return stopped_.load(std::memory_order_acquire); }
  /// Sleeps by `clock`. Gives false when it ended because of stop().
  bool sleep(Clock& clock, Clock::Duration duration);

 private:
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
};

/// Uniform in [0, 1); thread-safe. Injected wherever jitter is wanted.
using Random = std::function<double()>;

/// Seeded from the operating system.
Random make_random();

}  // namespace gobuildenv::kube
