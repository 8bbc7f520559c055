#include "controllers/manager/change_router.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "controllers/events.hpp"

namespace gobuildenv::controllers {
namespace {

using kube::Change;
using kube::Origin;

/// Pods come and go in crowds; their environment's counts are looked at once for all of them.
constexpr std::chrono::seconds kPodsSettle{1};
/// Until every watch has shown what belongs together: a pod's revision may be newer than what is
/// known of ConfigMaps, or come back at once.
constexpr std::chrono::seconds kWatchesSettle{2};
/// Key in the queue of missed pods: look for those whose revision is gone. No pod has it.
const kube::ObjectKey kStranded{};

}  // namespace

ChangeRouter::ChangeRouter(Parts parts) : parts_(parts) {
  ManagerInformers& watched = parts_.informers;
  watched.environments.add_handler([this](const auto& change) { on_environment(change); });
  watched.config_maps.add_handler([this](const auto& change) { on_config_map(change); });
  watched.pods.add_handler([this](const auto& change) { on_pod(change); });
  watched.chosen_pods.add_handler([this](const auto& change) { on_pod(change); });
  watched.namespaces.add_handler([this](const auto& change) { on_namespace(change); });
}

void ChangeRouter::begin() {
  begun_.store(true, std::memory_order_release);
  for (const auto& item : parts_.informers.environments.items()) {
    parts_.environments.add(item.meta.key, kube::Priority::Low);
  }
}

void ChangeRouter::begin_pods() {
  pods_begun_.store(true, std::memory_order_release);
  for (const auto* informer : {&parts_.informers.pods, &parts_.informers.chosen_pods}) {
    for (const auto& item : informer->items()) {
      const bool missing = !item.value->finished && !item.value->revision;
      if (missing) parts_.missed_pods.add(item.meta.key, kube::Priority::Low);
      look_if_in_vain(item.meta.key, *item.value, kube::Priority::Low);
    }
  }
}

kube::ReconcileResult ChangeRouter::reconcile_missed(const kube::ObjectKey& key) {
  if (key != kStranded) return parts_.missed.reconcile(key);
  for (const kube::ObjectKey& pod : parts_.missed.stranded()) parts_.missed_pods.add(pod);
  return kube::ReconcileResult::done();
}

void ChangeRouter::on_environment(const Change<EnvironmentRecord>& change) {
  if (!begun()) return;
  const bool serves_another =
      change.new_value &&
      (!change.old_value || change.old_value->current != change.new_value->current);
  if (serves_another) look_for_stranded(change.key);
  if (change.origin == Origin::OwnWrite) return;
  parts_.environments.add(change.key, change.priority());
  const bool going = !change.new_value || change.new_value->deleting;
  const bool was_going = !change.old_value || change.old_value->deleting;
  if (going && (!was_going || !change.new_value)) on_deletion(change, !was_going);
}

/// Pods that still use a deleted environment are told of, on it and, where they wait for what
/// will not come, on them.
void ChangeRouter::on_deletion(const Change<EnvironmentRecord>& change, bool news) {
  const auto users = pods_of(parts_.informers.caches(), change.key);
  const auto count = std::count_if(users.begin(), users.end(),
                                   [](const auto& pod) { return pod->revision != nullptr; });
  if (count == 0) return;
  if (news) {
    record(parts_.events, kGoBuildEnvType, change.key, std::string(change.uid),
           {true, "DeletedWhileInUse",
            std::to_string(count) +
                " unfinished pods use this environment; those that have not started will wait "
                "for its files in vain"});
  }
  if (change.new_value) return;
  parts_.missed.revisions_gone(change.key);
  parts_.missed_pods.add(kStranded);
}

/// Some of its revisions may be gone, with pods that wait for them.
void ChangeRouter::look_for_stranded(const kube::ObjectKey& environment) {
  if (!pods_begun_.load(std::memory_order_acquire)) return;
  const Caches caches = parts_.informers.caches();
  const auto pods = pods_of(caches, environment);
  if (std::none_of(pods.begin(), pods.end(),
                   [&](const auto& pod) { return waits_in_vain(caches, environment.ns, *pod); })) {
    return;
  }
  parts_.missed.revisions_gone(environment);
  parts_.missed_pods.add_after(kStranded, kWatchesSettle);
}

void ChangeRouter::look_if_in_vain(const kube::ObjectKey& key, const PodRecord& pod,
                                   kube::Priority priority) {
  if (!waits_in_vain(parts_.informers.caches(), key.ns, pod)) return;
  const bool deleted = !parts_.informers.environments.get({key.ns, *pod.environment});
  parts_.missed_pods.add_after(key, deleted ? kube::Clock::Duration::zero() : kWatchesSettle,
                               priority);
}

void ChangeRouter::on_config_map(const Change<ConfigMapRecord>& change) {
  if (!change.new_value && begun() && !change.old_value->is_export) {
    for (std::string& name : environments_of(change.key, *change.old_value)) {
      look_for_stranded({change.key.ns, std::move(name)});
    }
  }
  // Of what was there at the start the environments are looked at anyway.
  if (change.origin == Origin::OwnWrite || change.origin == Origin::InitialList ||
      change.origin == Origin::Resync || !begun()) {
    return;
  }
  for (const auto& record : {change.old_value, change.new_value}) {
    if (!record) continue;
    for (std::string& name : environments_of(change.key, *record)) {
      parts_.environments.add({change.key.ns, std::move(name)});
    }
  }
}

void ChangeRouter::on_pod(const Change<PodRecord>& change) {
  const bool newly_missed = parts_.missed.observe(change);
  if (pods_begun_.load(std::memory_order_acquire)) {
    if (newly_missed) parts_.missed_pods.add(change.key, change.priority());
    // Admitted just before its environment or revision was deleted.
    if (!change.old_value) look_if_in_vain(change.key, *change.new_value, change.priority());
  }
  if (!begun()) return;
  if (change.origin == Origin::Resync) return;
  const PodRecord* before = change.old_value.get();
  const PodRecord* after = change.new_value.get();
  if (before != nullptr && after != nullptr && before->finished == after->finished &&
      before->revision == after->revision && before->environment == after->environment &&
      before->answered == after->answered) {
    return;
  }
  for (const PodRecord* pod : {before, after}) {
    if (pod == nullptr || pod->environment->empty()) continue;
    parts_.environments.add_after({change.key.ns, *pod->environment}, kPodsSettle,
                                  kube::Priority::Low);
  }
}

/// Where injection is disabled nobody misses anything, so the counts of the namespace's
/// environments are others when that changes. Nothing else of a namespace concerns them.
void ChangeRouter::on_namespace(const Change<NamespaceRecord>& change) {
  const auto disabled = [](const auto& record) {
    return record && record->injection == webhooks::NamespaceInjection::Disabled;
  };
  if (!begun() || disabled(change.old_value) == disabled(change.new_value)) return;
  const auto all = [](const EnvironmentRecord&) { return true; };
  for (const kube::ObjectKey& key : parts_.informers.environments.keys_where(all)) {
    if (key.ns == change.key.name) parts_.environments.add(key, kube::Priority::Low);
  }
}

}  // namespace gobuildenv::controllers
