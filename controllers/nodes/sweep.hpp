#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "controllers/gobuildenv/records.hpp"
#include "controllers/nodes/decide.hpp"
#include "controllers/nodes/tally.hpp"
#include "kube/controller.hpp"
#include "kube/informer.hpp"
#include "kube/metrics.hpp"

namespace gobuildenv::controllers {

/// What passes cost: `compared` grows by one for each telling, however many environments share it.
struct NodeSweepMetrics {
  /// Null: nothing is counted.
  explicit NodeSweepMetrics(kube::Metrics* metrics);
  kube::Counter passes;
  kube::Counter compared;
  kube::Counter due;
};

/// Finds the environments whose status says something else of nodes than the tally, and lets them
/// be written a few at a time. One node that comes or goes concerns every environment, so writing
/// at once would multiply the two numbers. A pass looks at each environment's pointer to what it
/// tells, and unpacks no status.
class NodeSweep {
 public:
  struct Options {
    std::chrono::seconds every{30};  ///< between passes, hence between writes of one environment
    std::chrono::seconds settle{2};  ///< from a change to the pass, for those that come with it
    std::size_t per_pass = 300;      ///< 10 writes a second
  };

  /// The references outlive it; `metrics` may be null. `enqueue` hands a key to the reconciler of
  /// environments.
  NodeSweep(const kube::Informer<EnvironmentRecord>& environments, const NodeTally& tally,
            std::function<void(const kube::ObjectKey&)> enqueue, kube::Clock& clock,
            kube::Metrics* metrics, Options options)
      : environments_(environments),
        tally_(tally),
        enqueue_(std::move(enqueue)),
        clock_(clock),
        metrics_(metrics),
        options_(options) {}

  /// Until the next pass after a change now.
  [[nodiscard]] kube::Clock::Duration delay() const;

  /// One pass: those whose condition changes first.
  kube::ReconcileResult pass();

  /// Whether the environment was let through since it was last asked about.
  bool take_due(const kube::ObjectKey& environment);

 private:
  using Compared = std::unordered_map<const NodesTold*, NodesNews>;
  NodesNews news_of(const EnvironmentRecord& record, Compared& compared) const;

  const kube::Informer<EnvironmentRecord>& environments_;
  const NodeTally& tally_;
  const std::function<void(const kube::ObjectKey&)> enqueue_;
  kube::Clock& clock_;
  const NodeSweepMetrics metrics_;
  const Options options_;

  mutable std::mutex mutex_;
  std::optional<kube::Clock::TimePoint> last_pass_;
  std::set<kube::ObjectKey> due_;
};

}  // namespace gobuildenv::controllers
