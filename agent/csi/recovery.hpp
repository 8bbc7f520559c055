#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "agent/csi/mount_table.hpp"
#include "agent/csi/volume_record.hpp"

/// What is to be mended when the agent starts: records and mounts compared. Pure.
namespace gobuildenv::agent {

struct RecoveryInput {
  std::span<const VolumeRecord> records;
  std::span<const MountedVolume> mounts;
  /// Pods that still have a folder at the kubelet.
  std::set<std::string> pod_uids;
  /// Names in pods/: volume ids that have private parts.
  std::set<std::string> private_parts;
};

struct RecoveryPlan {
  /// Volumes whose pod is gone and where nothing is mounted: the kubelet will not ask for them any
  /// more. Their record and private parts can go.
  std::vector<std::string> forget;
  /// Mounts of ours without a record: it was lost. Whoever mounted them uses them, so they get one
  /// again; what only the kubelet knew (names) stays empty.
  std::vector<VolumeRecord> adopt;
  /// Private parts that belong to no record.
  std::vector<std::string> discard;
};

/// A record whose volume is not mounted while its pod is there stays as it is: the agent or the
/// node went down in between, and the kubelet either publishes or unpublishes it again.
[[nodiscard]] RecoveryPlan plan_recovery(const RecoveryInput& input);

/// The id that the kubelet gives an inline volume (pkg/volume/csi makeVolumeHandle): "csi-" and the
/// SHA-256 of the pod's uid and the volume's name, for a target as in VolumeSpec.
[[nodiscard]] std::string inline_volume_id(std::string_view target);

}  // namespace gobuildenv::agent
