#include "agent/node/cluster_view.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <tuple>
#include <utility>

namespace gobuildenv::agent {

using collector::Root;

kube::InformerOptions watch_pods_of(const std::string& node) {
  kube::InformerOptions options;
  options.type = {"", "v1", "pods", "Pod", true};
  options.field_selector = "spec.nodeName=" + node;
  return options;
}

ClusterView::ClusterView(std::string root, NodePlatform platform,
                         kube::Informer<EnvironmentRecord>& environments,
                         kube::Informer<PodRecord>& pods, AskNamespaceUid ask,
                         std::function<void()> changed)
    : root_(std::move(root)),
      platform_(std::move(platform)),
      environments_(environments),
      pods_(pods),
      ask_(std::move(ask)) {
  environments_.add_handler([this, changed](const auto&) {
    stale_ = true;
    changed();
  });
  pods_.add_handler([changed](const kube::Change<PodRecord>& change) {
    const auto ours = [](const auto& pod) { return pod && !pod->volumes.empty(); };
    if (ours(change.old_value) || ours(change.new_value)) changed();
  });
}

bool ClusterView::known() const { return environments_.has_synced() && pods_.has_synced(); }

void ClusterView::refresh() {
  // A node without shared caches asks for nothing.
  std::error_code error;
  const std::filesystem::directory_iterator owners(root_ + "/caches", error);
  if (!error && owners != std::filesystem::directory_iterator()) ask_for_uids();
}

void ClusterView::ask_for_uids() {
  std::map<UidKey, std::string> uids;
  std::map<std::string, std::string> asked;
  bool missing = false;
  for (const NamedEnvironment& environment : environments_.items()) {
    if (!environment.value->retention) continue;
    const std::string& ns = environment.meta.key.ns;
    std::string uid = uid_of(ns, environment.meta.uid);
    // An API server that does not answer is not asked again for each namespace.
    if (uid.empty() && !missing) {
      const auto [it, fresh] = asked.try_emplace(ns);
      if (fresh) it->second = ask_(ns);
      uid = it->second;
    }
    if (uid.empty()) {
      missing = true;
    } else {
      uids.emplace(UidKey{ns, environment.meta.uid}, std::move(uid));
    }
  }
  const std::lock_guard lock(mutex_);
  uids_ = std::move(uids);
  uids_missing_ = missing;
}

std::string ClusterView::uid_of(const std::string& ns, const std::string& environment_uid) const {
  const std::lock_guard lock(mutex_);
  const auto found = uids_.find({ns, environment_uid});
  return found == uids_.end() ? std::string() : found->second;
}

std::vector<Root> ClusterView::roots_of_environments() const {
  if (stale_.exchange(false)) {
    auto fresh = environment_roots(environments_.items(), platform_);
    const std::lock_guard lock(mutex_);
    environment_roots_ = std::move(fresh);
  }
  const std::lock_guard lock(mutex_);
  return environment_roots_;
}

std::string ClusterView::uid_for(const PodRecord& pod) const {
  std::string uid;
  for (const PodVolume& volume : pod.volumes) {
    const auto environment = environments_.find({pod.ns, volume.environment});
    if (environment) uid = uid_of(pod.ns, environment->meta.uid);
  }
  return uid;
}

std::vector<Root> ClusterView::roots(const std::vector<VolumeRecord>& records) const {
  if (!known()) return {{"", "the cluster's pods and GoBuildEnvs have not been listed yet"}};
  std::vector<Root> out = roots_of_environments();
  bool missing = false;
  {
    const std::lock_guard lock(mutex_);
    missing = uids_missing_;
  }
  for (const auto& pod : pods_.list()) {
    const std::string uid = uid_for(*pod);
    std::vector<Root> more = pod_roots(*pod, records, uid, platform_);
    if (uid.empty() && missing && !pod->finished && !pod->volumes.empty()) {
      more.push_back({"caches", "the uid of namespace " + pod->ns + " is not known"});
    }
    out.insert(out.end(), std::make_move_iterator(more.begin()),
               std::make_move_iterator(more.end()));
  }
  return out;
}

collector::LastKnown ClusterView::wanted() const {
  collector::LastKnown out;
  out.roots = roots_of_environments();
  for (const auto& pod : pods_.list()) {
    out.pods.push_back(pod->folder);
    const std::string uid = uid_for(*pod);
    // After a reboot volumes are published anew, so those with a record count, too.
    std::vector<Root> more = pod_roots(*pod, {}, uid, platform_);
    out.roots.insert(out.roots.end(), std::make_move_iterator(more.begin()),
                     std::make_move_iterator(more.end()));
    const bool shares =
        std::any_of(pod->volumes.begin(), pod->volumes.end(), [](const PodVolume& volume) {
          return volume.kind != VolumeKind::Toolchain && volume.scope != goenv::CacheScope::Pod;
        });
    if (uid.empty() && shares && !pod->finished) {
      out.roots.push_back({"caches", "the uid of namespace " + pod->ns + " was not known"});
    }
  }
  // In one order, so that what is remembered is written only when it is something else.
  std::sort(out.pods.begin(), out.pods.end());
  std::sort(out.roots.begin(), out.roots.end(), [](const Root& a, const Root& b) {
    return std::tie(a.path, a.why) < std::tie(b.path, b.why);
  });
  return out;
}

collector::Limits ClusterView::limits(collector::Limits node) const {
  return limits_of(std::move(node), environments_.items(), [this](const NamedEnvironment& one) {
    return uid_of(one.meta.key.ns, one.meta.uid);
  });
}

}  // namespace gobuildenv::agent
