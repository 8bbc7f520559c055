#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "controllers/events.hpp"
#include "controllers/gobuildenv/caches.hpp"
#include "controllers/gobuildenv/contents.hpp"
#include "controllers/gobuildenv/decide.hpp"
#include "controllers/gobuildenv/refusals.hpp"
#include "controllers/toolchain/resolver.hpp"
#include "kube/client.hpp"
#include "kube/clock.hpp"
#include "kube/controller.hpp"

namespace gobuildenv::controllers {

struct ReconcilerOptions {
  DecideOptions decide;
  std::chrono::seconds request_timeout{30};
  std::chrono::seconds counts_every{30};  ///< pod counts of one environment, at most this often
  /// Whether pods of that namespace are left alone on purpose and so are not missed.
  std::function<bool(const std::string& ns)> injection_disabled;
  /// How far nodes are with a toolchain, by version, of an environment with those sums; empty: not
  /// known yet. May be absent.
  std::function<std::function<NodeFacts(const std::string& version)>(
      const std::vector<std::string>& sums)>
      nodes;
  /// Whether a change of that alone may be written now; asking uses it up.
  std::function<bool(const kube::ObjectKey&)> take_nodes_due;
};

/// Gather → decide → apply for one GoBuildEnv. Thread-safe for different keys.
///
/// Writes: a ConfigMap is created by POST, as its content never changes and a name that exists is
/// read and compared: server-side apply costs the API server about twice as much. The status is
/// one PUT with the cached resourceVersion: nothing has to be merged or re-encoded on either side,
/// a stale view gets a conflict and decides again, and the same status is never written twice.
/// A ConfigMap that is refused, or fails for long, becomes a fact of the next decision
/// (docs/decisions/0014).
class EnvironmentReconciler {
 public:
  /// All references outlive it.
  EnvironmentReconciler(kube::Client& client, Caches caches, ToolchainResolver& resolver,
                        kube::EventRecorder& events, kube::Clock& clock, ReconcilerOptions options);

  kube::ReconcileResult reconcile(const kube::ObjectKey& key);

  /// What the caches say; the spec only where the record has it. Empty when there is no such
  /// object.
  struct Gathered {
    EnvironmentFacts facts;
    std::string resource_version;
    std::string spec;  ///< JSON text
    /// Uids of the revisions that were created since, by hash.
    std::map<std::string, std::string> made;
  };
  [[nodiscard]] std::optional<Gathered> gather(const kube::ObjectKey& key) const;

 private:
  using Outcome = std::optional<kube::ReconcileResult>;  ///< empty: go on

  Outcome read_spec(const kube::ObjectKey& key, Gathered& gathered);
  Outcome create(const kube::ObjectKey& key, Gathered& gathered, const CreateConfigMap& wanted,
                 bool& decide_again);
  /// `live`: JSON text of the object that has the name.
  Outcome adopt_existing(const kube::ObjectKey& key, const kube::ObjectKey& name,
                         Gathered& gathered, std::string live);
  Outcome not_written(const kube::ObjectKey& key, const std::string& name, const kube::Error& error,
                      Gathered& gathered);
  Outcome write_status(const kube::ObjectKey& key, const Gathered& gathered, crds::Status status);
  kube::ReconcileResult status_not_written(const kube::ObjectKey& key, const Gathered& gathered,
                                           const kube::Error& error);
  Outcome remove(const kube::ObjectKey& key, const DeleteConfigMap& removal);
  [[nodiscard]] bool counts_due(const kube::ObjectKey& key) const;
  void note_counts_written(const kube::ObjectKey& key);
  [[nodiscard]] kube::Deadline deadline() const { return clock_.now() + options_.request_timeout; }

  kube::Client& client_;
  Caches caches_;
  ToolchainResolver& resolver_;
  kube::EventRecorder& events_;
  kube::Clock& clock_;
  const ReconcilerOptions options_;
  ContentReader contents_;
  Refusals refusals_;

  mutable std::mutex mutex_;
  /// When pod counts of an environment were last written; only for those that ever had pods.
  std::unordered_map<kube::ObjectKey, kube::Clock::TimePoint, kube::ObjectKeyHash> counts_at_;
};

}  // namespace gobuildenv::controllers
