#pragma once

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <ctime>

namespace gobuildenv::agent::testing {

/// Lets the kernel kill this process with SIGKILL after `time`, wherever it is then. A parent that
/// is to do it waits for a processor itself: on a busy machine until its child has long finished.
inline void die_after(std::chrono::microseconds time) {
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(time);
  const std::chrono::nanoseconds rest = time - whole;
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGKILL;
  itimerspec at{};
  at.it_value.tv_sec = whole.count();
  at.it_value.tv_nsec = rest.count() + 1;  // 0 would be never
  timer_t timer{};
  if (::timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
      ::timer_settime(timer, 0, &at, nullptr) != 0) {
    ::_exit(99);
  }
}

}  // namespace gobuildenv::agent::testing
