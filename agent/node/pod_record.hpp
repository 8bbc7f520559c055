#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "agent/csi/volume_spec.hpp"
#include "kube/decoded.hpp"

/// What the agent keeps of each pod of its node: the volumes of ours that it will mount. Pure.
namespace gobuildenv::agent {

struct PodVolume {
  VolumeKind kind = VolumeKind::Toolchain;
  std::string environment;
  std::string toolchain;  ///< "1.22.3"; as written, for caches it may be empty
  goenv::CacheScope scope = goenv::CacheScope::Pod;
};

struct PodRecord {
  std::string ns;
  std::string name;
  std::string uid;
  std::string folder;     ///< below the kubelet's pods/: the uid, of a static pod its hash
  bool finished = false;  ///< Succeeded or Failed: it mounts nothing any more
  std::vector<PodVolume> volumes;
};

/// Decodes one pod for an informer. Volumes of other drivers, and attributes that cannot be read,
/// are left out: the call of the kubelet is where those are refused.
[[nodiscard]] tl::expected<kube::Decoded<PodRecord>, std::string> decode_pod(std::string_view json);

}  // namespace gobuildenv::agent
