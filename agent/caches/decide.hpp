#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/csi/shared_caches.hpp"
#include "goenv/spec.hpp"

/// Who shares which cache, and whose writes others get to read. Pure.
///
/// What a pod's author can choose are the attributes of an inline volume and, as any user of the
/// namespace, the service account. The namespace and the account are the kubelet's word, what is
/// shared is the GoBuildEnv's. So the most that forged attributes can reach is reading what a
/// GoBuildEnv of the same namespace shares.
namespace gobuildenv::agent {

/// Owner of what a namespace shares; no GoBuildEnv can have this name.
inline constexpr std::string_view kNamespaceOwner = "_namespace";

struct CacheFacts {
  const VolumeSpec& spec;
  /// `spec.cache` of the GoBuildEnv that the volume names, in the pod's namespace; nothing: there
  /// is none.
  std::optional<goenv::Cache> declared;
  std::string namespace_uid;  ///< empty: not known (yet)
};

/// Never wider than the volume asks for, nor than the GoBuildEnv declares now.
[[nodiscard]] CacheAnswer decide_cache(const CacheFacts& facts);

/// Why what a pod wrote must not become what others read; empty: it may. `declared` as in
/// CacheFacts, as of now: both trust and scope may have been taken back since the pod began.
[[nodiscard]] std::string why_not_promote(const VolumeRecord& record,
                                          const std::optional<goenv::Cache>& declared);

/// The uid in "caches/<namespace uid>/…".
[[nodiscard]] std::string_view namespace_uid_of(std::string_view cache);

}  // namespace gobuildenv::agent
