#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/collector/policy.hpp"
#include "agent/csi/volume_record.hpp"
#include "agent/node/environment_record.hpp"
#include "agent/node/pod_record.hpp"
#include "kube/decoded.hpp"

/// What the cluster's objects mean to the collector. Pure.
namespace gobuildenv::agent {

using NamedEnvironment = kube::Decoded<EnvironmentRecord>;

/// uid of the namespace `environment` is in; empty when it is not known.
using NamespaceUidOf = std::function<std::string(const NamedEnvironment& environment)>;

/// One root for each release that an environment declares or keeps a revision of: it names the
/// store's folder of that release, whatever the sum.
[[nodiscard]] std::vector<collector::Root> environment_roots(
    std::span<const NamedEnvironment> environments, const NodePlatform& platform);

/// Roots of an unfinished pod, but for the volumes of it that `records` has: those are roots
/// themselves, more exact ones. `namespace_uid`: empty when not known; then the pod's shared caches
/// are not named, since nobody can have made them.
[[nodiscard]] std::vector<collector::Root> pod_roots(const PodRecord& pod,
                                                     std::span<const VolumeRecord> records,
                                                     std::string_view namespace_uid,
                                                     const NodePlatform& platform);

/// Roots of published volumes.
[[nodiscard]] std::vector<collector::Root> volume_roots(std::span<const VolumeRecord> records);

/// `node` with the retention of each environment whose namespace is known; complete when all are.
/// What a namespace shares is kept as long, and as much, as the most generous of its environments
/// says.
[[nodiscard]] collector::Limits limits_of(collector::Limits node,
                                          std::span<const NamedEnvironment> environments,
                                          const NamespaceUidOf& namespace_uid);

/// How long the longest running build may have been running: since its volumes were published.
/// Bounded by a day, and a day where the clock was set back meanwhile.
[[nodiscard]] std::chrono::seconds longest_build(std::span<const VolumeRecord> records,
                                                 std::chrono::system_clock::time_point now);

/// The folder of an environment's caches below caches/, and the one that its namespace shares.
[[nodiscard]] std::string caches_of(std::string_view namespace_uid, std::string_view environment);
inline constexpr std::string_view kNamespaceCaches = "_namespace";

}  // namespace gobuildenv::agent
