#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "controllers/nodes/sweep.hpp"
#include "controllers/nodes/tally.hpp"
#include "kube/controller.hpp"
#include "kube/informer.hpp"

namespace gobuildenv::controllers {

/// The leader's view of nodes: watches GoNodeCaches, counts, and sees to it that environments tell.
/// Other replicas watch nothing of it. Nothing waits for it either: where the CRD is missing,
/// environments say nothing of nodes.
class ManagerNodes {
 public:
  /// All references outlive it; `reconciler` is the queue of environments.
  ManagerNodes(const kube::InformerRuntime& runtime,
               const kube::Informer<EnvironmentRecord>& environments, kube::WorkQueue& reconciler);
  ManagerNodes(const ManagerNodes&) = delete;
  ManagerNodes& operator=(const ManagerNodes&) = delete;

  /// This process leads.
  void begin();
  void request_stop();
  void join();
  [[nodiscard]] bool hung() const { return controller_.hung(); }

  /// What counts nodes by version for an environment with those sums; empty before the first list
  /// is complete.
  [[nodiscard]] std::function<NodeFacts(const std::string& version)> counter(
      std::vector<std::string> sums) const;
  bool take_due(const kube::ObjectKey& environment) { return sweep_.take_due(environment); }

 private:
  void schedule();

  const kube::Informer<EnvironmentRecord>& environments_;
  NodeTally tally_;
  kube::Informer<NodeRecord> nodes_;
  NodeSweep sweep_;
  kube::Controller controller_;
  std::atomic<bool> begun_{false};
};

}  // namespace gobuildenv::controllers
