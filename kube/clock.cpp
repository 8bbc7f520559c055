#include "kube/clock.hpp"

#include <time.h>

#include <memory>
#include <random>

namespace gobuildenv::kube {

Clock::TimePoint RealClock::now() const noexcept { return std::chrono::steady_clock::now(); }

Clock::Duration RealClock::boot_time() const noexcept {
  timespec time{};
  clock_gettime(CLOCK_BOOTTIME, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

std::chrono::system_clock::time_point RealClock::wall_now() const noexcept {
  return std::chrono::system_clock::now();
}

void RealClock::wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake,
                           TimePoint until) {
  wake.wait_until(lock, until);
}

// An hour after the epoch, so that tests may subtract; a fixed wall time, so that they repeat.
FakeClock::FakeClock()
    : monotonic_(Duration(std::chrono::hours(1)).count()),
      boot_(Duration(std::chrono::hours(1)).count()),
      wall_(Duration(std::chrono::seconds(1'750'000'000)).count()) {}

Clock::TimePoint FakeClock::now() const noexcept { return TimePoint(Duration(monotonic_.load())); }

Clock::Duration FakeClock::boot_time() const noexcept { return Duration(boot_.load()); }

std::chrono::system_clock::time_point FakeClock::wall_now() const noexcept {
  return std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(Duration(wall_.load())));
}

void FakeClock::wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake,
                           TimePoint until) {
  ++looks_;
  if (now() >= until) return;
  wake.wait_for(lock, std::chrono::milliseconds(1));
}

void FakeClock::advance(Duration by) noexcept {
  monotonic_ += by.count();
  suspend(by);
}

void FakeClock::suspend(Duration by) noexcept {
  boot_ += by.count();
  wall_ += by.count();
}

void FakeClock::jump_wall(Duration by) noexcept { wall_ += by.count(); }

void StopSignal::stop() noexcept {
  // The lock orders the flag before the check of a thread that is about to wait.
  const std::lock_guard lock(mutex_);
  stopped_.store(true, std::memory_order_release);
  wake_.notify_all();
}

bool StopSignal::sleep(Clock& clock, Clock::Duration duration) {
  const auto until = clock.now() + duration;
  std::unique_lock lock(mutex_);
  while (!stopped() && clock.now() < until) clock.wait_until(lock, wake_, until);
  return !stopped();
}

Random make_random() {
  struct Source {
    std::mutex mutex;
    std::mt19937_64 engine{std::random_device{}()};
    std::uniform_real_distribution<double> uniform{0.0, 1.0};
  };
  return [source = std::make_shared<Source>()] {
    const std::lock_guard lock(source->mutex);
    return source->uniform(source->engine);
  };
}

}  // namespace gobuildenv::kube
