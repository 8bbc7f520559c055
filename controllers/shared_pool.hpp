#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>

namespace gobuildenv::controllers {

/// Equal values as one, for records of which many say the same. `Index` maps values to
/// std::weak_ptr<const value>: ordered or hashed, as the value allows. A value nobody holds any
/// more is dropped by the time the pool has doubled, so what pods and nodes name does not pile up.
/// For any thread.
template <class Index>
class SharedPool {
 public:
  using Value = typename Index::key_type;

  std::shared_ptr<const Value> get(Value value) {
    const std::scoped_lock lock(mutex_);
    const auto [at, fresh] = values_.try_emplace(std::move(value));
    std::shared_ptr<const Value> shared = at->second.lock();
    if (shared) return shared;
    // Not make_shared: the weak reference would keep the value's memory.
    shared = std::shared_ptr<const Value>(new Value(at->first));
    at->second = shared;
    if (fresh && values_.size() > purge_at_) {
      erase_if(values_, [](const auto& entry) { return entry.second.expired(); });
      purge_at_ = 2 * values_.size() + 64;
    }
    return shared;
  }

 private:
  std::mutex mutex_;
  Index values_;
  std::size_t purge_at_ = 256;
};

}  // namespace gobuildenv::controllers
