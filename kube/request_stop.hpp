#pragma once

#include <thread>

#include "kube/cancel_signal.hpp"
#include "kube/clock.hpp"

namespace gobuildenv::kube {

/// Ends what clients do, once and for good: their requests under way and their waits between tries
/// end at once, and they start no request any more. All of it is Error::Kind::ShuttingDown to those
/// who asked. Thread-safe; outlives the clients which have it.
class RequestStop {
 public:
  void stop() noexcept {
    cancel_.raise();
    wait_.stop();
  }
  [[nodiscard]] bool stopped() const noexcept { return cancel_.raised(); }
  /// Sleeps by `clock`. Gives false when it ended because of stop().
  bool sleep(Clock& clock, Clock::Duration duration) { return wait_.sleep(clock, duration); }
  /// For HttpRequest::cancel.
  [[nodiscard]] const CancelSignal& signal() const noexcept { return cancel_; }

 private:
  CancelSignal cancel_;
  StopSignal wait_;
};

/// Stops `requests` when it has existed for `grace`: the bound of a wait for those who make them.
class StopAfter {
 public:
  /// `clock` and `requests` outlive it.
  StopAfter(Clock& clock, Clock::Duration grace, RequestStop& requests);
  /// Does not stop them any more.
  ~StopAfter();
  StopAfter(const StopAfter&) = delete;
  StopAfter& operator=(const StopAfter&) = delete;

 private:
  StopSignal done_;
  std::thread thread_;
};

}  // namespace gobuildenv::kube
