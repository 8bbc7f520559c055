#pragma once

#include <atomic>
#include <chrono>

namespace gobuildenv::kube {

/// Ends waits of other threads, once and for good; waits on sockets can watch it beside them.
class CancelSignal {
 public:
  CancelSignal();
  ~CancelSignal();
  CancelSignal(const CancelSignal&) = delete;
  CancelSignal& operator=(const CancelSignal&) = delete;
  void raise() noexcept;
  [[nodiscard]] bool raised() const noexcept { return raised_.load(std::memory_order_acquire); }
  [[nodiscard]] int fd() const noexcept { return fd_; }  ///< readable once raised

 private:
  int fd_;
  std::atomic<bool> raised_{false};
};

enum class Waited { Done, Cancelled, Timeout };

/// Blocks until `done` or `cancel` (may be null) is raised, or the deadline has come. What is done
/// and cancelled is done.
[[nodiscard]] Waited wait_for(const CancelSignal& done, const CancelSignal* cancel,
                              std::chrono::steady_clock::time_point deadline);

}  // namespace gobuildenv::kube
