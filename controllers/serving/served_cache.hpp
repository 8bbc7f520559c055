#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>

#include "controllers/gobuildenv/records.hpp"
#include "kube/client.hpp"
#include "webhooks/environments.hpp"

namespace gobuildenv::controllers {

/// Environments as they were served last, with the cached objects they were made of: who finds
/// these unchanged (the very same objects: an informer's are never modified) can serve the same
/// again, with all that admission has derived from it. At most kSlots, chosen by the key's hash; a
/// busy cluster builds with a few environments, however many there are. Thread-safe.
class ServedCache {
 public:
  static constexpr std::size_t kSlots = 1024;

  struct Entry {
    kube::ObjectKey key;
    std::shared_ptr<const EnvironmentRecord> environment;
    kube::ObjectKey config_map;
    std::shared_ptr<const ConfigMapRecord> revision;
    std::shared_ptr<const webhooks::ServedEnvironment> served;
  };

  /// Null when `key` was not served, or another took its place.
  std::shared_ptr<const Entry> find(const kube::ObjectKey& key) const;
  void put(Entry entry);

 private:
  mutable std::mutex mutex_;
  std::array<std::shared_ptr<const Entry>, kSlots> slots_;
};

}  // namespace gobuildenv::controllers
