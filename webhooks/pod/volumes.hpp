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

/// Whether `delivery: Volume` can be served here.
bool mounts_toolchain(const InjectionInput& input);

/// The JSON of volume `name`, which some container mounts, for a pod with or without an fsGroup.
std::string volume_json(std::string_view name, bool fs_group, const InjectionInput& input);

/// Whether a volume says at least what `wanted` says; defaults that the API server or a policy
/// added (a sizeLimit) do not count as a difference.
bool volume_satisfies(std::string_view actual, std::string_view wanted);

}  // namespace gobuildenv::webhooks
