#pragma once

#include <atomic>

#include "controllers/manager/informers.hpp"
#include "controllers/missed/reporter.hpp"
#include "kube/controller.hpp"
#include "kube/work_queue.hpp"

namespace gobuildenv::controllers {

/// Says which change of what is watched puts which key into which queue: environments into that of
/// the reconciler, pods into that of the report of missed ones. Thread-safe.
class ChangeRouter {
 public:
  struct Parts {
    ManagerInformers& informers;
    MissedPods& missed;
    kube::EventRecorder& events;
    kube::WorkQueue& environments;
    kube::WorkQueue& missed_pods;
  };
  /// All parts outlive it. Registers its handlers: construct it before the informers start.
  explicit ChangeRouter(Parts parts);
  ChangeRouter(const ChangeRouter&) = delete;
  ChangeRouter& operator=(const ChangeRouter&) = delete;

  /// From here on changes of environments enqueue; what there was before is enqueued now. Their
  /// first list may still be coming: each is reconciled by itself, and nothing is concluded from
  /// one that is not there.
  void begin();
  /// The environments are complete: pods whose environment is not among them can be told of.
  void begin_pods();
  /// Whether begin() was called.
  [[nodiscard]] bool begun() const { return begun_.load(std::memory_order_acquire); }

  /// Of the queue of missed pods, whose keys are pods and one of the router's own.
  kube::ReconcileResult reconcile_missed(const kube::ObjectKey& key);

 private:
  void on_environment(const kube::Change<EnvironmentRecord>& change);
  void on_deletion(const kube::Change<EnvironmentRecord>& change, bool news);
  void on_config_map(const kube::Change<ConfigMapRecord>& change);
  void on_pod(const kube::Change<PodRecord>& change);
  void on_namespace(const kube::Change<NamespaceRecord>& change);
  void look_for_stranded(const kube::ObjectKey& environment);
  void look_if_in_vain(const kube::ObjectKey& key, const PodRecord& pod, kube::Priority priority);

  Parts parts_;
  std::atomic<bool> begun_{false};
  std::atomic<bool> pods_begun_{false};
};

}  // namespace gobuildenv::controllers
