#include "agent/csi/recovery.hpp"

#include <algorithm>

#include "crds/digest.hpp"

namespace gobuildenv::agent {
namespace {

std::string pod_uid(std::string_view target) {
  return std::string(target.substr(0, target.find('/')));
}

/// "<uid>/volumes/kubernetes.io~csi/<volume>/mount" → "<volume>"
std::string_view volume_name(std::string_view target) {
  target = target.substr(0, target.rfind('/'));
  return target.substr(target.rfind('/') + 1);
}

/// "toolchains/go1.22.3.linux-amd64/…" → "1.22.3"
std::string version_of(std::string_view source) {
  constexpr std::string_view kPrefix = "toolchains/go";
  if (!source.starts_with(kPrefix)) return {};
  source = source.substr(kPrefix.size());
  const std::string_view name = source.substr(0, source.find('/'));
  return std::string(name.substr(0, name.rfind('.')));
}

/// "pods/<volume id>/upper" names the volume; for others it is the kubelet's rule.
std::string volume_id(const MountedVolume& mount) {
  constexpr std::string_view kPrefix = "pods/";
  if (!mount.source.starts_with(kPrefix)) return inline_volume_id(mount.target);
  const std::string_view rest = std::string_view(mount.source).substr(kPrefix.size());
  return std::string(rest.substr(0, rest.find('/')));
}

VolumeRecord adopted(const MountedVolume& mount) {
  VolumeRecord record;
  record.volume_id = volume_id(mount);
  record.kind = unit_of(mount.source).empty() ? VolumeKind::Build : VolumeKind::Toolchain;
  record.cache = cache_of_lower(mount.lower);
  if (!record.cache.empty()) record.lower = mount.lower;
  record.pod.uid = pod_uid(mount.target);
  record.toolchain = version_of(mount.source);
  record.target = mount.target;
  record.source = mount.source;
  for (const std::string& newer : mount.newer) {
    if (!newer_name(newer).empty()) record.newer.push_back(newer);
  }
  return record;
}

}  // namespace

std::string inline_volume_id(std::string_view target) {
  return "csi-" + crds::sha256_hex(pod_uid(target).append(volume_name(target)));
}

RecoveryPlan plan_recovery(const RecoveryInput& input) {
  RecoveryPlan plan;
  std::set<std::string> ids;
  std::set<std::string> recorded_targets;
  std::set<std::string> mounted_targets;
  for (const MountedVolume& mount : input.mounts) mounted_targets.insert(mount.target);
  for (const VolumeRecord& record : input.records) {
    ids.insert(record.volume_id);
    recorded_targets.insert(record.target);
    const bool pod_is_gone = !input.pod_uids.contains(pod_uid(record.target));
    if (pod_is_gone && !mounted_targets.contains(record.target)) {
      plan.forget.push_back(record.volume_id);
    }
  }
  for (const MountedVolume& mount : input.mounts) {
    if (!recorded_targets.insert(mount.target).second) continue;
    VolumeRecord record = adopted(mount);
    if (!is_volume_id(record.volume_id) || !is_plain_relative(record.source)) continue;
    ids.insert(record.volume_id);
    plan.adopt.push_back(std::move(record));
  }
  for (const std::string& id : input.private_parts) {
    if (!ids.contains(id)) plan.discard.push_back(id);
  }
  return plan;
}

}  // namespace gobuildenv::agent
