#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "controllers/events.hpp"
#include "controllers/gobuildenv/caches.hpp"
#include "kube/clock.hpp"
#include "kube/controller.hpp"
#include "kube/metrics.hpp"

namespace gobuildenv::controllers {

/// Reports each missed pod once, by an Event on it, and counts by namespace who got an environment
/// and who went without. Keys are pods. Thread-safe.
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

  /// Handler of both pod informers. True when the pod is to be looked at by reconcile().
  bool observe(const kube::Change<PodRecord>& change);

  kube::ReconcileResult reconcile(const kube::ObjectKey& key);

  /// That environment is deleted; its pods are looked for by stranded().
  void environment_gone(const kube::ObjectKey& environment);
  /// Pods that wait for the files of an environment which is gone since the last call: to be looked
  /// at by reconcile(). One pass over all pods, however many environments went with a namespace.
  [[nodiscard]] std::vector<kube::ObjectKey> stranded();

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
  struct Counts {
    int injected = 0;
    int missed = 0;
  };
  std::map<std::string, Counts> counts_;  ///< of unfinished pods, by namespace
  std::set<kube::ObjectKey> gone_;        ///< environments, for stranded()
  double tokens_;
  kube::Clock::TimePoint refilled_;
  kube::Metrics::Registration collector_;
};

}  // namespace gobuildenv::controllers
