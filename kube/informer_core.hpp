#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <tl/expected.hpp>
#include <vector>

#include "kube/client.hpp"
#include "kube/clock.hpp"
#include "kube/metrics.hpp"
#include "kube/object_cache.hpp"
#include "kube/page_ahead.hpp"
#include "kube/watch_machine.hpp"

namespace gobuildenv::kube {

/// What informers share; all of it outlives them. `metrics` may be null.
struct InformerRuntime {
  Client& client;
  Clock& clock;
  Random random;
  Metrics* metrics = nullptr;
};

struct InformerOptions {
  ResourceType type;
  /// Label `resource` of metrics and name in logs, for a second watch of one type; empty: the
  /// type's.
  std::string name;
  std::string ns;  ///< empty: all namespaces
  std::string label_selector;
  std::string field_selector;
  bool metadata_only = false;  ///< PartialObjectMetadata: metadata is all the decoder gets
  WatchConfig watch;           ///< list and watch behaviour; the defaults suit a direct connection
  /// For long lists: watch from the first page on, so that what changes while further pages of the
  /// first list are read is seen between them and not after the last. Needs a list
  /// in pages: `watch.newest_first_list`, and `watch.streaming_list` off.
  bool watch_while_listing = false;
  /// Every object is dispatched again, locally, this often, ± 10 %. 0: never.
  std::chrono::seconds resync{36'000};
  /// A list page must be there by then.
  std::chrono::seconds list_timeout{60};
  /// A longer line of the watch stream is an error. Objects in etcd are at most 1.5 MiB.
  std::size_t max_line_bytes = std::size_t{16} << 20;
};

/// Reflector and cache of one kind, without its C++ type. See Informer.
class InformerCore {
 public:
  InformerCore(const InformerRuntime& runtime, InformerOptions options, AnyDecoder decoder,
               std::vector<NamedIndex> indexes);
  ~InformerCore();
  InformerCore(const InformerCore&) = delete;
  InformerCore& operator=(const InformerCore&) = delete;

  void add_handler(AnyChangeHandler handler) { cache_.add_handler(std::move(handler)); }
  void start();
  void request_stop();
  void join();
  [[nodiscard]] bool has_synced() const { return cache_.has_synced(); }
  bool wait_for_sync(std::chrono::steady_clock::time_point deadline);
  [[nodiscard]] const Store& store() const { return cache_.store(); }
  void observe_write(std::string_view json) { cache_.observe_write(json); }
  void observe_delete(const ObjectKey& key, const std::string& uid) {
    cache_.observe_delete(key, uid);
  }
  [[nodiscard]] bool caught_up(const ObjectKey& key) const { return cache_.caught_up(key); }
  [[nodiscard]] Clock::Duration last_event_age() const;

 private:
  void run();
  WatchInput perform(const WatchAction& action);
  WatchInput list_page(const WatchAction& action);
  /// Opens the watch that the list at `version` will end in.
  void open_early(const std::string& version);
  /// Applies what it has shown so far.
  void drain_early();
  WatchInput open_watch(const WatchAction& action);
  WatchInput read_stream();
  WatchInput handle_line(std::string_view line);
  void apply_effect(StoreEffect effect);
  void close_stream();
  void log_failure(const WatchInput& input) const;
  void resync_if_due();
  void schedule_resync();
  void touch();

  Client& client_;
  Clock& clock_;
  const Random random_;
  const InformerOptions options_;
  InformerMetrics metrics_;
  ObjectCache cache_;
  PageAhead pages_;
  struct Stream;
  std::unique_ptr<Stream> stream_;  ///< used by the reflector's thread; cancel() is guarded
  std::mutex stream_mutex_;
  WatchState state_;
  Clock::TimePoint next_resync_{};
  std::atomic<Clock::Duration::rep> last_event_;
  StopSignal stop_;
  std::mutex sync_mutex_;
  std::condition_variable synced_;
  Metrics::Registration collector_;
  /// Version from which the open stream watches ahead of the list's end; empty: it does not.
  std::string early_version_;
  std::thread thread_;
};

/// Gives memory freed by an initial sync back to the operating system (glibc malloc_trim). Call it
/// once after all informers have synced.
void trim_after_sync() noexcept;

}  // namespace gobuildenv::kube
