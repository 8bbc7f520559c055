#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "kube/client.hpp"
#include "kube/clock.hpp"
#include "kube/metrics.hpp"
#include "kube/work_queue.hpp"

namespace gobuildenv::kube {

/// What a reconcile says about its key; made by the functions below.
struct ReconcileResult {
  enum class Kind {
    Done,          ///< as declared; the next change brings the key back
    RequeueAfter,  ///< look again after `after`, whatever happens
    Retry,         ///< failed, may pass later: again with the key's own growing delay
    Final,         ///< failed, and fails again until the object changes: not retried
  };
  Kind kind = Kind::Done;
  Clock::Duration after{};
  std::string message;  ///< of Retry and Final, for the log; no credentials

  static ReconcileResult done() { return {}; }
  static ReconcileResult requeue_after(Clock::Duration after) {
    return {Kind::RequeueAfter, after, {}};
  }
  static ReconcileResult retry(std::string message) {
    return {Kind::Retry, {}, std::move(message)};
  }
  /// Retry, but not before `after` (what the server asked for).
  static ReconcileResult retry_after(Clock::Duration after, std::string message) {
    return {Kind::Retry, after, std::move(message)};
  }
  static ReconcileResult final(std::string message) {
    return {Kind::Final, {}, std::move(message)};
  }
};

/// Brings one object to its declared state. Gets the key only and reads the caches. An exception
/// is caught, counted and treated as Retry: a poisoned object never stops its siblings.
using Reconcile = std::function<ReconcileResult(const ObjectKey& key)>;

struct ControllerOptions {
  std::string name;  ///< label `controller` of the metrics, and of the log lines
  int workers = 2;
  /// A worker that holds one key for longer is hung, and hung() says so to the liveness probe.
  std::chrono::seconds hung_after{300};
  /// False while a cache has not caught up with our own last write to this key: the key is looked
  /// at again after `gate_retry`, without counting as a failure. Null: always ready.
  std::function<bool(const ObjectKey&)> gate;
  std::chrono::milliseconds gate_retry{20};
  std::chrono::milliseconds retry_base{5};
  /// As long as a person who has just mended what was wrong may have to wait.
  std::chrono::milliseconds retry_max{300'000};
};

/// A work queue and the threads which empty it into one Reconcile; one worker per key at a time.
/// Handlers may add keys before start().
class Controller {
 public:
  Controller(ControllerOptions options, Clock& clock, Metrics* metrics, Reconcile reconcile);
  /// Stops and joins.
  ~Controller();
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  void start();
  /// No key is handed out any more; the ones in work are finished. Does not wait.
  void request_stop();
  /// Waits for the workers; call request_stop() on every controller first.
  void join();

  [[nodiscard]] WorkQueue& queue() { return queue_; }
  /// For the liveness probe: a worker has held one key for longer than hung_after.
  [[nodiscard]] bool hung() const;
  [[nodiscard]] const std::string& name() const { return options_.name; }

  /// Runs at most one ready key on the calling thread; false when none was ready. For tests.
  bool run_one();

 private:
  void work();
  void process(const ObjectKey& key);
  ReconcileResult call(const ObjectKey& key);

  const ControllerOptions options_;
  Clock& clock_;
  ReconcileMetrics metrics_;
  const Reconcile reconcile_;
  WorkQueue queue_;
  std::vector<std::thread> workers_;
};

}  // namespace gobuildenv::kube
