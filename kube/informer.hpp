#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kube/informer_core.hpp"

/// A shared, indexed cache of one kind, kept current by list and watch: read from it, never from
/// the API server. Make it, add handlers and indexes, start(), wait for has_synced(). The template
/// is a typed skin; the work is in InformerCore.
namespace gobuildenv::kube {

/// A change of one object. `old_value` is null for a new object, `new_value` for one that is gone,
/// and for a resync both are the same.
template <class T>
struct Change {
  const ObjectKey& key;
  std::shared_ptr<const T> old_value;
  std::shared_ptr<const T> new_value;
  Origin origin;
  /// Of the object; of the one that is gone where there is no new value. Valid during the call.
  std::string_view uid;
  /// Low for what nobody waits for.
  [[nodiscard]] Priority priority() const { return priority_of(origin); }
};

/// Called for each change, in order, one at a time: on the reflector's thread, or for
/// Origin::OwnWrite on the thread of observe_write(). Quick (add a key to a queue), throws nothing
/// (what it throws is logged and dropped), and does not call observe_write() itself.
template <class T>
using ChangeHandler = std::function<void(const Change<T>&)>;

/// Finds objects by a string: `keys` gives the values (none, one or more) of an object.
template <class T>
struct Index {
  std::string name;
  std::function<std::vector<std::string>(const ObjectKey&, const T&)> keys;
};

template <class T>
class Informer {
 public:
  /// What `runtime` refers to outlives the informer.
  Informer(const InformerRuntime& runtime, InformerOptions options, Decoder<T> decoder,
           std::vector<Index<T>> indexes = {})
      : core_(runtime, std::move(options), erase(std::move(decoder)), erase(std::move(indexes))) {}

  /// Also after start(): the objects there already come as Origin::InitialList first.
  void add_handler(ChangeHandler<T> handler) {
    core_.add_handler([handler = std::move(handler)](const AnyChange& change) {
      handler(Change<T>{change.key, cast(change.old_value), cast(change.new_value), change.origin,
                        change.uid});
    });
  }

  void start() { core_.start(); }
  /// Ends the watch; does not wait. A list in progress runs to its own deadline.
  void request_stop() { core_.request_stop(); }
  /// Waits for the reflector's thread. The cache can still be read.
  void join() { core_.join(); }

  /// The first list is in the cache and its handlers were called.
  [[nodiscard]] bool has_synced() const { return core_.has_synced(); }
  /// Real-time wait for has_synced(); false at `deadline` or when stopped.
  bool wait_for_sync(std::chrono::steady_clock::time_point deadline) {
    return core_.wait_for_sync(deadline);
  }

  /// Null when there is none.
  [[nodiscard]] std::shared_ptr<const T> get(const ObjectKey& key) const {
    return cast(core_.store().get(key));
  }
  /// With uid and resourceVersion.
  [[nodiscard]] std::optional<Decoded<T>> find(const ObjectKey& key) const {
    auto item = core_.store().find(key);
    if (!item) return std::nullopt;
    return Decoded<T>{std::move(item->meta), cast(item->value)};
  }
  /// In no order.
  [[nodiscard]] std::vector<std::shared_ptr<const T>> list() const {
    return cast(core_.store().list());
  }
  [[nodiscard]] std::vector<std::shared_ptr<const T>> by_index(std::string_view index,
                                                               std::string_view value) const {
    return cast(core_.store().by_index(index, value));
  }
  /// With keys, uids and resourceVersions; in no order.
  [[nodiscard]] std::vector<Decoded<T>> items() const {
    std::vector<Decoded<T>> out;
    for (auto& item : core_.store().items()) {
      out.push_back({std::move(item.meta), cast(item.value)});
    }
    return out;
  }
  /// Keys of what `wanted` says true of; in no order. Copies nothing of the others. It is called
  /// under the cache's lock: quick, and asks nothing of the informer.
  [[nodiscard]] std::vector<ObjectKey> keys_where(
      const std::function<bool(const T&)>& wanted) const {
    return core_.store().keys_where(
        [&](const void* value) { return wanted(*static_cast<const T*>(value)); });
  }
  [[nodiscard]] std::size_t size() const { return core_.store().size(); }

  /// Call with the answer of each write of our own to this kind. The object is in the cache at once
  /// (Origin::OwnWrite) unless the watch has already shown this version or a newer one, so that the
  /// next reconcile reads it, and the watch event of the same version changes nothing any more.
  /// Where versions are not numbers, caught_up() turns false instead until the watch shows it.
  void observe_write(std::string_view json) { core_.observe_write(json); }
  /// Call after a successful DELETE of our own: caught_up() is false until the watch shows that the
  /// object of this uid is gone or being deleted (at most 30 s).
  void observe_delete(const ObjectKey& key, const std::string& uid) {
    core_.observe_delete(key, uid);
  }
  /// The cache has our own last write to this key: safe to reconcile. For ControllerOptions::gate.
  [[nodiscard]] bool caught_up(const ObjectKey& key) const { return core_.caught_up(key); }

  /// Since the last byte of the watch (an event or a bookmark); for metrics and readiness.
  [[nodiscard]] Clock::Duration last_event_age() const { return core_.last_event_age(); }

 private:
  static std::shared_ptr<const T> cast(const AnyValue& value) {
    return std::static_pointer_cast<const T>(value);
  }
  static std::vector<std::shared_ptr<const T>> cast(const std::vector<AnyValue>& values) {
    std::vector<std::shared_ptr<const T>> out;
    out.reserve(values.size());
    for (const auto& value : values) out.push_back(cast(value));
    return out;
  }
  static AnyDecoder erase(Decoder<T> decoder) {
    return [decoder = std::move(decoder)](
               std::string_view json) -> tl::expected<StoredItem, std::string> {
      auto decoded = decoder(json);
      if (!decoded) return tl::unexpected(std::move(decoded.error()));
      return StoredItem{std::move(decoded->meta), std::move(decoded->value)};
    };
  }
  static std::vector<NamedIndex> erase(std::vector<Index<T>> indexes) {
    std::vector<NamedIndex> out;
    for (auto& index : indexes) {
      out.push_back({index.name, [keys = std::move(index.keys)](
                                     const ObjectKey& key, const void* value,
                                     const std::function<void(std::string_view)>& emit) {
                       for (const auto& text : keys(key, *static_cast<const T*>(value))) emit(text);
                     }});
    }
    return out;
  }

  InformerCore core_;
};

}  // namespace gobuildenv::kube
