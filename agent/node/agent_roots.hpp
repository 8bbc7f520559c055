#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "agent/node/collection.hpp"
#include "agent/node/offline_needs.hpp"

namespace gobuildenv::agent {

/// What the agent needs kept: volumes by their registry, what the cluster says, leases.
class AgentRoots final : public collector::RootSource {
 public:
  /// Both outlive it.
  AgentRoots(const CollectionEdges& edges, const OfflineNeeds& offline)
      : edges_(edges), offline_(offline) {}

  [[nodiscard]] std::vector<collector::Root> roots() const override;
  [[nodiscard]] bool knows_volumes() const override { return true; }
  /// Under the registry's lock, which publishing a volume takes too; not at idle priority.
  bool if_unused(const std::string& path, const std::function<void()>& act) const override;

  /// Those that gobuildenv gc cannot find on the disk.
  [[nodiscard]] std::vector<collector::Root> beside_volumes() const;

  [[nodiscard]] bool stopping() const override { return stopping_; }
  /// Thread-safe.
  void stop() { stopping_ = true; }

 private:
  [[nodiscard]] std::vector<collector::Root> of_cluster(
      const std::vector<VolumeRecord>& records) const;

  const CollectionEdges& edges_;
  const OfflineNeeds& offline_;
  std::atomic<bool> stopping_{false};
};

}  // namespace gobuildenv::agent
