#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "goenv/spec.hpp"
#include "goenv/version.hpp"

/// What a NodePublishVolume call asks for, checked before anything on the node is touched. Pure.
/// The attributes are those of webhooks/pod/volumes.cpp; who the pod is comes from the kubelet.
namespace gobuildenv::agent {

/// "toolchain", "modules", "build" in attribute `kind`.
enum class VolumeKind { Toolchain, Modules, Build };

[[nodiscard]] std::string_view to_string(VolumeKind kind);
[[nodiscard]] std::optional<VolumeKind> parse_volume_kind(std::string_view text);

/// The pod, as the kubelet says it (csi.storage.k8s.io/…); nothing that the pod's author chose but
/// the names.
struct PodIdentity {
  std::string ns;
  std::string name;
  std::string uid;
  std::string service_account;  ///< may be empty
  friend bool operator==(const PodIdentity&, const PodIdentity&) = default;
};

struct VolumeSpec {
  std::string volume_id;
  VolumeKind kind = VolumeKind::Toolchain;
  PodIdentity pod;
  std::string environment;                    ///< name of the GoBuildEnv in the pod's namespace
  std::string revision;                       ///< may be empty
  std::optional<goenv::GoVersion> toolchain;  ///< always there for kind Toolchain
  goenv::CacheScope scope = goenv::CacheScope::Pod;
  /// Below the kubelet's folder of pods: "<uid>/volumes/kubernetes.io~csi/<volume>/mount".
  std::string target;
  std::optional<std::uint32_t> group;  ///< the pod's fsGroup
};

/// The call as it came in.
struct PublishCall {
  std::string volume_id;
  std::string target_path;
  std::map<std::string, std::string> attributes;  ///< volume_context
  bool mount_capability = true;                   ///< false: a block device is wanted
  std::string fs_type;
  std::vector<std::string> mount_flags;
  std::string mount_group;  ///< volume_mount_group
};

/// `pods_dir`: the kubelet's folder of pods, absolute, without a slash at the end. Attributes that
/// are not known are ignored: the webhook may be newer than the agent, and no volume may fail a pod
/// for that. Error: a sentence that names the field, its value and what to write instead.
[[nodiscard]] tl::expected<VolumeSpec, std::string> parse_publish(const PublishCall& call,
                                                                  std::string_view pods_dir);

/// The part of `target_path` below `pods_dir`, when it has the shape of a CSI volume's mount.
[[nodiscard]] tl::expected<std::string, std::string> parse_target(std::string_view target_path,
                                                                  std::string_view pods_dir);

/// Whether `id` can be a volume's: a word of letters, digits, '.', '_' and '-', not hidden, at most
/// 128 characters. It names files of ours.
[[nodiscard]] bool is_volume_id(std::string_view id);

/// Error text for an id that is none.
[[nodiscard]] std::string bad_volume_id(std::string_view id);

}  // namespace gobuildenv::agent
