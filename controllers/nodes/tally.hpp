#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "controllers/nodes/records.hpp"
#include "kube/informer.hpp"

namespace gobuildenv::controllers {

/// How far the nodes are with the toolchain of one environment.
struct NodeFacts {
  std::int32_t agents = 0;   ///< nodes in all
  std::int32_t desired = 0;  ///< nodes that should hold it
  std::int32_t ready = 0;    ///< nodes that do
  std::int32_t failed = 0;   ///< nodes whose last try to fetch it failed
  std::string reason;        ///< the most frequent one
  bool pinned = false;       ///< by sums: fetched on a node when its first pod asks
  /// What nodes that hold it verified it with, one a platform, in order. Where nodes contradict
  /// each other it is what most of them say, so that a few cannot make it change to and fro.
  std::vector<goenv::ToolchainSum> verified = {};
};

/// Counts nodes by what they hold, kept by each change instead of counted anew. Thread-safe.
///
/// A node is one that has a GoNodeCache: there the driver runs, or has run and was not cleaned up
/// (the object goes with its Node). A pinned toolchain is desired where a pod has asked for it.
class NodeTally {
 public:
  /// Handler of the informer. Whether any count is another one now.
  bool observe(const kube::Change<NodeRecord>& change);

  /// For an environment with that resolved version and spec.toolchain.sums.
  [[nodiscard]] NodeFacts count(const std::string& version,
                                const std::vector<std::string>& sums) const;

 private:
  struct Count {
    std::int32_t ready = 0;
    std::map<std::string, std::int32_t> failed;            ///< by reason
    std::map<goenv::ToolchainSum, std::int32_t> verified;  ///< of the ready ones
  };
  /// Of several counts.
  struct Total {
    std::map<std::string, std::int32_t> reasons;
    std::map<goenv::ToolchainSum, std::int32_t> verified;
  };
  void add(const NodeRecord& node, std::int32_t by);
  void sum_up(const std::string& key, NodeFacts& out, Total& total) const;

  mutable std::mutex mutex_;
  std::int32_t nodes_ = 0;
  std::unordered_map<std::string, Count> counts_;  ///< by mark_key()
};

}  // namespace gobuildenv::controllers
