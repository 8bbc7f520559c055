#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/collector/agent_facts.hpp"

namespace gobuildenv::agent {

/// What pods may need while the API server has not answered since the agent started.
///
/// Volumes that are published have records on the disk. What is left is a pod of this node whose
/// volume has none yet. When pods and GoBuildEnvs were last known, collector.json got the names of
/// all pods of this node and what each of them, finished or not yet begun, and each spec asked for;
/// a pod's own volumes never change. So a pod that is in it wants nothing else. Every other pod
/// that the kubelet works on has a folder of the kubelet's before its volumes are published, and
/// while there is one that was not known, all toolchains and shared caches stay. A pod without a
/// folder is one that comes later: the same as if it were created after the run.
class OfflineNeeds {
 public:
  /// Reads what was known last. `pods_dir`: the kubelet's folder with one for each pod.
  OfflineNeeds(const std::string& root, std::string pods_dir);

  /// Cheap; looks at the folders each time.
  [[nodiscard]] std::vector<collector::Root> roots() const;

  /// `node`, by which nothing goes but for the disk's sake. Which caches were an environment's is
  /// kept: their ages depend on it.
  [[nodiscard]] collector::Limits limits(collector::Limits node) const;

 private:
  /// Empty: none.
  [[nodiscard]] std::string unknown_pod() const;

  std::string pods_dir_;
  std::optional<collector::AgentFacts> facts_;
};

}  // namespace gobuildenv::agent
