#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "webhooks/pod/changes.hpp"

/// The volumes behind an environment's mounts.
namespace gobuildenv::webhooks {

inline constexpr std::string_view kFilesVolume = "gobuildenv-files";
inline constexpr std::string_view kToolchainVolume = "gobuildenv-toolchain";
inline constexpr std::string_view kCredentialsVolume = "gobuildenv-netrc";
inline constexpr std::string_view kCaVolume = "gobuildenv-ca";

/// Whether the plan's toolchain comes in a volume of the CSI driver. Shared caches do not count:
/// without the driver they are emptyDirs, and the build is slower but the same.
bool wants_toolchain_volume(const goenv::PodPlan& plan);
/// Whether `delivery: Volume` can be served here.
bool mounts_toolchain(const InjectionInput& input);

/// What of a pod decides what its volumes look like.
enum class PodKind {
  Plain,
  WithGroup,        ///< securityContext.fsGroup
  InUserNamespace,  ///< hostUsers: false. The runtime maps the users of every mount, which Linux
                    ///< refuses for an overlay: a shared cache would keep the pod from starting
};

/// The JSON of volume `name`, which some container mounts, for a pod of `kind`.
std::string volume_json(std::string_view name, PodKind kind, const InjectionInput& input);

/// Whether a volume says at least what `wanted` says; defaults that the API server or a policy
/// added (a sizeLimit) do not count as a difference.
bool volume_satisfies(std::string_view actual, std::string_view wanted);

}  // namespace gobuildenv::webhooks
