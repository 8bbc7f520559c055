#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "controllers/gobuildenv/reconciler.hpp"
#include "controllers/manager.hpp"
#include "controllers/manager/certificates.hpp"
#include "controllers/manager/change_router.hpp"
#include "controllers/manager/informers.hpp"
#include "controllers/manager/nodes.hpp"
#include "controllers/missed/reporter.hpp"
#include "controllers/operator_metrics.hpp"
#include "controllers/serving/lookup.hpp"
#include "kube/events.hpp"
#include "kube/leader_election.hpp"

namespace gobuildenv::controllers {

/// The manager's parts. impl.cpp puts them together, life.cpp starts and stops them.
struct Manager::Impl {
  Impl(ManagerOptions given, ManagerEdges given_edges);

  // --- options of the parts ---

  [[nodiscard]] kube::LeaderElectionOptions election_options() const;
  kube::LeaderCallbacks callbacks();
  [[nodiscard]] kube::EventRecorderOptions event_options() const;
  /// Whether pods of a namespace are left alone on purpose.
  [[nodiscard]] std::function<bool(const std::string&)> disabled();
  ReconcilerOptions reconciler_options();
  [[nodiscard]] ResolverOptions resolver_options() const;

  // --- life ---

  [[nodiscard]] bool leads() const;
  /// On a thread of its own: nobody can say when the API server is there.
  void follow_up();
  /// False when it is to stop.
  bool begin_leading();
  void start_workers();
  void start_workers_locked();
  void begin_pods_locked();
  void finish(End end);
  void stop_controllers();
  void release_lease();

  const ManagerOptions options;
  const ManagerEdges edges;
  kube::RequestStop requests;  ///< of all clients but open_client
  /// For the Lease, which is given back after all other requests have ended, and for admission,
  /// which is served even longer.
  std::unique_ptr<kube::Client> open_client;
  kube::LeaderElector elector;
  std::unique_ptr<kube::Client> client;        ///< for all other writes: asks the elector
  std::unique_ptr<kube::Client> watch_client;  ///< for the caches
  ManagerInformers informers;
  ServingLookup lookup;
  kube::EventWriter events;
  OperatorMetrics operator_metrics;
  ToolchainResolver resolver;
  EnvironmentReconciler reconciler;
  kube::Controller environment_controller;
  MissedPods missed;
  kube::Controller missed_controller;
  ChangeRouter router;
  ManagerCertificates certificates;
  ManagerNodes nodes;

  std::mutex mutex;  ///< start of election and workers against their stop
  bool stopping = false;
  bool stopped = false;
  bool elector_started = false;
  bool all_synced = false;
  std::thread starter;

  std::mutex end_mutex;
  std::condition_variable end_wake;
  std::optional<End> ended;
};

}  // namespace gobuildenv::controllers
