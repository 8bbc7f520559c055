#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/node/collection.hpp"
#include "agent/node/collection_roots.hpp"
#include "kube/informer.hpp"

/// The collector's needs, read from the caches of GoBuildEnvs and of this node's pods.
namespace gobuildenv::agent {

/// What to watch for the pods of `node` alone.
[[nodiscard]] kube::InformerOptions watch_pods_of(const std::string& node);

class ClusterView final : public ClusterNeeds {
 public:
  /// Asks the API server; empty: it did not say.
  using AskNamespaceUid = std::function<std::string(const std::string& ns)>;

  /// `root`: the agent's. The informers outlive the view; it adds a handler to each, which calls
  /// `changed`.
  ClusterView(std::string root, NodePlatform platform,
              kube::Informer<EnvironmentRecord>& environments, kube::Informer<PodRecord>& pods,
              AskNamespaceUid ask, std::function<void()> changed);

  [[nodiscard]] bool known() const override;
  void refresh() override;
  [[nodiscard]] std::vector<collector::Root> roots(
      const std::vector<VolumeRecord>& records) const override;
  [[nodiscard]] collector::LastKnown wanted() const override;
  [[nodiscard]] collector::Limits limits(collector::Limits node) const override;

 private:
  /// An environment never changes its namespace, so neither does the uid of that.
  using UidKey = std::pair<std::string, std::string>;  ///< namespace, uid of the environment

  [[nodiscard]] std::vector<collector::Root> roots_of_environments() const;
  [[nodiscard]] std::string uid_for(const PodRecord& pod) const;
  [[nodiscard]] std::string uid_of(const std::string& ns, const std::string& environment_uid) const;
  void ask_for_uids();

  const std::string root_;
  const NodePlatform platform_;
  kube::Informer<EnvironmentRecord>& environments_;
  kube::Informer<PodRecord>& pods_;
  const AskNamespaceUid ask_;
  mutable std::atomic<bool> stale_{true};  ///< environment_roots_ is
  mutable std::mutex mutex_;
  mutable std::vector<collector::Root> environment_roots_;
  std::map<UidKey, std::string> uids_;
  bool uids_missing_ = false;  ///< of an environment that shares caches
};

}  // namespace gobuildenv::agent
