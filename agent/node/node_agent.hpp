#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "agent/collector/trash_emptier.hpp"
#include "agent/csi/csi_server.hpp"
#include "agent/node/collection_triggers.hpp"
#include "agent/node/fetch_reporter.hpp"
#include "agent/node/startup_taint.hpp"
#include "agent/toolchains/provider.hpp"
#include "kube/client.hpp"
#include "kube/clock.hpp"
#include "kube/health.hpp"
#include "kube/metrics.hpp"

/// The node agent: toolchains in the store, volumes for pods, and what ties both to the cluster's
/// GoBuildEnvs.
namespace gobuildenv::agent {

struct NodeAgentOptions {
  std::string root;         ///< absolute, resolved; exists
  std::string kubelet_dir;  ///< absolute, as the kubelet is told (--root-dir); exists
  std::string node_name;
  std::string version;                 ///< of this build, for CSI
  std::string socket;                  ///< empty: <kubelet_dir>/plugins/gobuildenv.dev/csi.sock
  std::string pod_name;                ///< of the agent, for Events; may be empty
  std::optional<Taint> startup_taint;  ///< taken from the Node once the kubelet knows the driver
  std::chrono::seconds volume_wait{90};
  /// Wanted toolchains are looked at again this often, as in PrefetchOptions.
  std::chrono::seconds prefetch_interval{30};
  TriggerOptions collect;    ///< when the collector runs
  collector::Limits limits;  ///< of the node; environments have their own in their specs
  std::uint64_t delete_rate = collector::TrashEmptier::kDefaultRate;  ///< entries a second
};

/// What it works with; all of it outlives the agent.
struct NodeAgentEdges {
  ToolchainProvider& toolchains;
  kube::Clock& clock;
  kube::Metrics& metrics;
  kube::Random random;
  /// Null: there is no cluster to ask; volumes get whatever release they name, nothing is fetched
  /// ahead, no Events are written and there is no GoNodeCache.
  kube::Client* client = nullptr;
  /// Told of by the provider of `toolchains`; null: the state of fetches is seen by the minute.
  FetchReporter* fetches = nullptr;
};

class NodeAgent {
 public:
  /// Opens the root and brings volumes and mounts together. Nothing is served yet. Error: what is
  /// wrong with which folder.
  static tl::expected<std::unique_ptr<NodeAgent>, std::string> open(NodeAgentOptions options,
                                                                    NodeAgentEdges edges);
  ~NodeAgent();
  NodeAgent(const NodeAgent&) = delete;
  NodeAgent& operator=(const NodeAgent&) = delete;

  /// Starts watching, fetching, emptying the trash, and serving the kubelet.
  tl::expected<void, std::string> start();
  /// Ends everything that start() started; calls in progress are given `grace`.
  void stop(std::chrono::milliseconds grace);

  /// The agent outlives what asks them. readyz: "csi" (the kubelet has registered us),
  /// "environments" (the first list has come).
  void add_checks(kube::HealthChecks& ready);

 private:
  struct Impl;
  explicit NodeAgent(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gobuildenv::agent
