#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "kube/decoded.hpp"
#include "kube/store_entry.hpp"

namespace gobuildenv::kube {

/// Names the values under which an object is found in one index, through `emit`.
using IndexFunction = std::function<void(const ObjectKey& key, const void* value,
                                         const std::function<void(std::string_view)>& emit)>;

struct NamedIndex {
  std::string name;
  IndexFunction keys;
};

/// One object of the store, as readers get it.
struct StoredItem {
  ObjectMeta meta;
  AnyValue value;
};

/// The objects of one kind by key and by index; the part of the informer that does not depend on
/// the kind's C++ type. Readers get shared, immutable values and never see half a change; they hold
/// a shared lock only while they copy pointers. One thread writes at a time (the informer's apply
/// lock); costs about 180 bytes an object beside the value, plus 40 for each index value.
class Store {
 public:
  explicit Store(std::vector<NamedIndex> indexes);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  [[nodiscard]] AnyValue get(const ObjectKey& key) const;
  [[nodiscard]] std::optional<StoredItem> find(const ObjectKey& key) const;
  [[nodiscard]] std::vector<AnyValue> list() const;
  /// Empty for an unknown index as well as for a value nobody has.
  [[nodiscard]] std::vector<AnyValue> by_index(std::string_view index,
                                               std::string_view value) const;
  [[nodiscard]] std::vector<StoredItem> items() const;
  /// Keys of what `wanted` says true of. It is called under the lock: quick, and not back.
  [[nodiscard]] std::vector<ObjectKey> keys_where(
      const std::function<bool(const void* value)>& wanted) const;
  [[nodiscard]] std::size_t size() const;

  /// What the writer must know about a key before it decides; nothing is copied but numbers.
  struct Peek {
    bool exists = false;
    bool same_uid = false;
    bool same_version = false;
    bool newer = false;  ///< ours is newer than `meta`, where the versions can be compared
    bool ahead = false;  ///< ours came from a write of our own which no watch has shown yet
  };
  [[nodiscard]] Peek peek(const ObjectMeta& meta) const;

  /// Puts the object in place, `ahead` when it is the answer to our own write. Gives what was
  /// there.
  std::optional<StoredItem> put(const ObjectMeta& meta, AnyValue value, bool ahead);
  std::optional<StoredItem> erase(const ObjectKey& key);

  /// Marks the present object as part of the list being read. False when there is none.
  bool mark(const ObjectKey& key, std::uint32_t epoch);
  /// Keys neither marked with `epoch` nor ahead of the list (`keep_ahead`): they are gone.
  [[nodiscard]] std::vector<ObjectKey> unmarked(std::uint32_t epoch,
                                                const ResourceVersion* list_version) const;
  /// The watch has shown our own write (or something newer).
  void confirm(const ObjectKey& key);

  /// Several changes as one step for readers.
  class Batch {
   public:
    explicit Batch(Store& store) : store_(store), lock_(store.mutex_) {}
    std::optional<StoredItem> put(const ObjectMeta& meta, AnyValue value) {
      return store_.put_locked(meta, std::move(value), false);
    }
    std::optional<StoredItem> erase(const ObjectKey& key) { return store_.erase_locked(key); }

   private:
    Store& store_;
    std::unique_lock<std::shared_mutex> lock_;
  };

 private:
  using Entries = std::unordered_set<StoreEntryPtr, StoreEntryHash, StoreEntryEqual>;
  using Bucket = std::unordered_set<StoreEntry*>;
  struct IndexData {
    NamedIndex definition;
    std::unordered_map<std::string, Bucket> buckets;
  };

  std::optional<StoredItem> put_locked(const ObjectMeta& meta, AnyValue value, bool ahead);
  std::optional<StoredItem> erase_locked(const ObjectKey& key);
  using IndexKeys = std::vector<std::vector<std::string>>;  ///< for each index
  IndexKeys index_keys(const ObjectKey& key, const void* value) const;
  void index(StoreEntry* entry, const IndexKeys& keys);
  void unindex(StoreEntry* entry, const ObjectKey& key);
  const NamespaceName* intern(const std::string& ns);
  void release(const NamespaceName* ns);

  mutable std::shared_mutex mutex_;
  Entries entries_;
  std::vector<IndexData> indexes_;
  std::unordered_map<std::string, std::uint32_t> namespaces_;  ///< with use counts
};

}  // namespace gobuildenv::kube
