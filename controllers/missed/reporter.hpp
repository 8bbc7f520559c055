#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
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
///
/// Nothing is written to remember what was told: within one process `reported_` does, and between
/// two the Lease says until when another led. Pods that came after that are news, whatever their
/// age; of the kNewsAge seconds before, some may be told of twice, as he may not have got to them.
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

  /// This process leads; `led_until` is when another last did, if that is known. Without this call
  /// nobody led before its construction.
  void lead(std::optional<std::chrono::system_clock::time_point> led_until);

  /// Handler of both pod informers. True when the pod is to be looked at by reconcile().
  bool observe(const kube::Change<PodRecord>& change);

  kube::ReconcileResult reconcile(const kube::ObjectKey& key);

  /// That environment is deleted, or revisions of it are; its pods are looked for by stranded().
  void revisions_gone(const kube::ObjectKey& environment);
  /// Pods that wait in vain for what is gone since the last call: to be looked at by reconcile().
  /// One pass over all pods, however many environments went with a namespace.
  [[nodiscard]] std::vector<kube::ObjectKey> stranded();

 private:
  /// Zero: this pod can be told of now. Otherwise how long it waits, one after the other. With the
  /// lock held.
  kube::Clock::Duration turn();
  void publish();
  [[nodiscard]] std::int64_t now() const;  ///< seconds of the Unix epoch

  Caches caches_;
  kube::EventRecorder& events_;
  kube::Clock& clock_;
  kube::Metrics* metrics_;
  const Options options_;

  std::mutex mutex_;
  std::unordered_map<kube::ObjectKey, std::string, kube::ObjectKeyHash> reported_;  ///< uids
  std::int64_t news_since_;  ///< pods created earlier are old news; seconds of the Unix epoch
  struct Counts {
    int injected = 0;
    int missed = 0;
  };
  std::map<std::string, Counts> counts_;  ///< of unfinished pods, by namespace
  std::set<kube::ObjectKey> gone_;        ///< environments, for stranded()
  double tokens_;
  kube::Clock::TimePoint refilled_;
  kube::Clock::TimePoint last_turn_;  ///< of those that wait
  kube::Metrics::Registration collector_;
};

}  // namespace gobuildenv::controllers
