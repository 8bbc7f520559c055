#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <unordered_map>
#include <vector>

#include "kube/clock.hpp"
#include "kube/metrics.hpp"
#include "kube/object_meta.hpp"
#include "kube/store.hpp"
#include "kube/work_queue.hpp"

namespace gobuildenv::kube {

/// Where a change comes from.
enum class Origin : std::uint8_t {
  InitialList,  ///< there when the process started
  Relist,       ///< noticed by listing again after the watch was lost
  Watch,        ///< an event of the watch
  OwnWrite,     ///< the answer to a write of this process, ahead of the watch
  Resync,       ///< no change: the periodic second look
};

/// Low for the initial list and resyncs, Normal otherwise.
[[nodiscard]] Priority priority_of(Origin origin) noexcept;

struct AnyChange {
  const ObjectKey& key;
  AnyValue old_value;
  AnyValue new_value;
  Origin origin;
  std::string_view uid;  ///< of the object, of the one that is gone where there is no new value
};
using AnyChangeHandler = std::function<void(const AnyChange&)>;
using AnyDecoder = std::function<tl::expected<StoredItem, std::string>(std::string_view json)>;

/// The rules by which lists, watch events and answers of our own writes become the store's content
/// and the handlers' calls. No I/O, no thread. Its three sources race; the newest version wins, a
/// uid that changes under one name is a deletion and a creation, and each change is dispatched
/// once.
class ObjectCache {
 public:
  /// `clock` outlives it; `resource` is for log lines.
  ObjectCache(std::string resource, Clock& clock, AnyDecoder decoder,
              std::vector<NamedIndex> indexes, InformerMetrics metrics);
  ~ObjectCache();
  ObjectCache(const ObjectCache&) = delete;
  ObjectCache& operator=(const ObjectCache&) = delete;

  void add_handler(AnyChangeHandler handler);
  [[nodiscard]] const Store& store() const { return store_; }
  [[nodiscard]] bool has_synced() const noexcept { return synced_.load(std::memory_order_acquire); }

  // The reflector's thread:

  /// A list begins: what was staged of an unfinished one is forgotten.
  void begin_replace();
  /// Objects of the list. Before the first sync they are visible at once, later with the others.
  /// Handlers hear of them a run at a time: who sleeps until there is work is woken once, not for
  /// each object.
  void stage(std::span<const std::string_view> page);
  void stage(std::string_view json) { stage({&json, 1}); }
  /// The list is complete as of `version`: what is in neither list nor flight is gone.
  void commit_replace(std::string_view version);
  /// ADDED, MODIFIED. Also before the first list is complete, of what is newer than that list.
  void upsert(std::string_view json);
  /// The same for who has decoded the identity already.
  void upsert(std::string_view json, const tl::expected<ObjectIdentity, std::string>& identity);
  /// DELETED; `json` is the object's last state. As above: a later page may still show it.
  void remove(std::string_view json);
  /// Everything up to this version has been applied.
  void advance(std::string_view version);
  /// Dispatches every object once more.
  void resync();

  // Any thread:

  void observe_write(std::string_view json);
  void observe_delete(const ObjectKey& key, const std::string& uid);
  [[nodiscard]] bool caught_up(const ObjectKey& key) const;

 private:
  struct Staged;
  struct Made;
  /// A write of our own which the cache cannot show by itself.
  struct Expected {
    std::string uid;
    std::string version;  ///< empty: a deletion
    Clock::TimePoint expires{};
  };

  /// Runs a step with an object; false, counted and logged, when it throws: one object never
  /// breaks a list or a watch, whatever decoder or index functions do with it.
  bool guarded(const ObjectMeta& meta, const std::function<void()>& step) const;
  void skipped(const ObjectMeta& meta, std::string_view why) const;
  std::optional<StoredItem> decode(std::string_view json, const ObjectMeta& meta);
  std::optional<Made> stage_one(std::string_view json);
  void call(const AnyChangeHandler& handler, const AnyChange& change) const;
  void expect(const ObjectKey& key, Expected expected);
  void dispatch(const ObjectKey& key, std::string_view uid, AnyValue old_value, AnyValue new_value,
                Origin origin);
  void dispatch_put(const ObjectMeta& meta, const std::optional<StoredItem>& old,
                    const AnyValue& value, Origin origin);
  void seen(const ObjectMeta& meta, bool gone_or_going);
  void note_early(const ObjectMeta& meta);
  [[nodiscard]] bool went_early(const ObjectMeta& meta) const;
  void publish_size();

  const std::string resource_;
  Clock& clock_;
  const AnyDecoder decoder_;
  const InformerMetrics metrics_;
  Store store_;
  std::atomic<bool> synced_{false};

  /// Held while a change is decided, made and dispatched: one at a time, in one order.
  std::mutex apply_mutex_;
  std::vector<AnyChangeHandler> handlers_;
  std::uint32_t epoch_ = 0;
  std::vector<Staged> staged_;
  /// What went while the first list was coming, by uid: the version it went at. Under a selector it
  /// may come back.
  std::unordered_map<std::string, std::string> gone_early_;
  std::string early_version_;    ///< the newest of the events that came before the first list's end
  std::string applied_version_;  ///< the watch has shown everything up to here

  mutable std::mutex expected_mutex_;
  std::unordered_map<ObjectKey, Expected, ObjectKeyHash> expected_;
};

}  // namespace gobuildenv::kube
