#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>

#include "controllers/events.hpp"
#include "controllers/gobuildenv/caches.hpp"
#include "kube/clock.hpp"
#include "kube/controller.hpp"
#include "kube/metrics.hpp"

namespace gobuildenv::controllers {

/// Reports each missed pod once, by an Event on it, and counts them by namespace. Keys are pods.
/// Thread-safe.
class MissedPods {
 public:
  struct Options {
    std::function<bool(const std::string& ns)> injection_disabled;
    double events_per_second = 5;
    double burst = 50;
  };
  /// All references outlive it; `metrics` may be null.
  MissedPods(Caches caches, kube::EventRecorder& events, kube::Clock& clock, kube::Metrics* metrics,
             Options options);

  /// Handler of the pod informer. True when the pod is to be looked at by reconcile().
  bool observe(const kube::Change<PodRecord>& change);

  kube::ReconcileResult reconcile(const kube::ObjectKey& key);

 private:
  bool take_token();
  void publish();

  Caches caches_;
  kube::EventRecorder& events_;
  kube::Clock& clock_;
  kube::Metrics* metrics_;
  const Options options_;

  std::mutex mutex_;
  std::unordered_map<kube::ObjectKey, std::string, kube::ObjectKeyHash> reported_;  ///< uids
  std::map<std::string, int> missed_;  ///< unfinished pods without, by namespace
  double tokens_;
  kube::Clock::TimePoint refilled_;
  kube::Metrics::Registration collector_;
};

}  // namespace gobuildenv::controllers
