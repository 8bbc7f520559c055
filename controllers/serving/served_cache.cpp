#include "controllers/serving/served_cache.hpp"

#include <utility>

#include "kube/work_queue.hpp"

namespace gobuildenv::controllers {
namespace {

std::size_t slot_of(const kube::ObjectKey& key) {
  return kube::ObjectKeyHash{}(key) % ServedCache::kSlots;
}

}  // namespace

std::shared_ptr<const ServedCache::Entry> ServedCache::find(const kube::ObjectKey& key) const {
  const std::size_t slot = slot_of(key);
  std::shared_ptr<const Entry> entry;
  {
    const std::scoped_lock lock(mutex_);
    entry = slots_[slot];
  }
  return entry && entry->key == key ? entry : nullptr;
}

void ServedCache::put(Entry entry) {
  const std::size_t slot = slot_of(entry.key);
  // What is replaced is destroyed after the lock.
  auto made = std::make_shared<const Entry>(std::move(entry));
  const std::scoped_lock lock(mutex_);
  slots_[slot].swap(made);
}

}  // namespace gobuildenv::controllers
