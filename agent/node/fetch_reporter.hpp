#pragma once

#include <functional>
#include <mutex>

#include "agent/toolchains/fetching_provider.hpp"
#include "kube/metrics.hpp"

namespace gobuildenv::agent {

/// Tells what becomes of fetches: the log, metrics, and whoever publishes the node's state (whose
/// Events people see). Thread-safe; outlives the provider that calls it.
class FetchReporter {
 public:
  explicit FetchReporter(kube::Metrics& metrics);

  /// For ProviderOptions::changed.
  void changed(const ToolchainWant& want, const ToolchainState& state, const FetchFigures& figures);

  /// Called after each change, on the fetching thread; an empty one ends that, and no call is in
  /// progress when this returns.
  void on_change(std::function<void()> handler);

 private:
  kube::Metrics& metrics_;
  const kube::Gauge in_progress_;
  const kube::Counter bytes_;
  const kube::Histogram seconds_;
  const kube::Counter unverified_;
  std::mutex mutex_;
  std::function<void()> handler_;
};

}  // namespace gobuildenv::agent
