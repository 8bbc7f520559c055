#pragma once

#include <atomic>
#include <memory>

namespace gobuildenv::webhooks {

/// A value made from immutable things when first asked for, then shared by all threads. Two that
/// ask at once may both make it; one is kept. No lock: readers pay one load.
template <typename T>
class MadeOnce {
 public:
  MadeOnce() = default;
  ~MadeOnce() { delete made_.load(std::memory_order_acquire); }
  MadeOnce(const MadeOnce&) = delete;
  MadeOnce& operator=(const MadeOnce&) = delete;

  /// `make` gives a std::unique_ptr<const T>, the same value whenever it is called.
  template <typename Make>
  const T& get(Make make) const {
    if (const T* made = made_.load(std::memory_order_acquire)) return *made;
    std::unique_ptr<const T> fresh = make();
    const T* other = nullptr;
    if (made_.compare_exchange_strong(other, fresh.get(), std::memory_order_acq_rel)) {
      return *fresh.release();
    }
    return *other;
  }

 private:
  mutable std::atomic<const T*> made_{nullptr};
};

}  // namespace gobuildenv::webhooks
