#pragma once

#include <string_view>

/// Labels, annotations, paths and names that are part of the product's contract with pods.
namespace gobuildenv::goenv {

inline constexpr std::string_view kGroup = "gobuildenv.dev";
inline constexpr std::string_view kVersion = "v1alpha1";

// Asking for an environment.
inline constexpr std::string_view kEnvLabel = "gobuildenv.dev/env";
inline constexpr std::string_view kRequiredLabel = "gobuildenv.dev/required";
/// On namespaces: "enabled", "enforced" or "disabled".
inline constexpr std::string_view kInjectionLabel = "gobuildenv.dev/injection";

// Carried by a changed pod.
inline constexpr std::string_view kRevisionLabel = "gobuildenv.dev/revision";
inline constexpr std::string_view kEnvironmentAnnotation = "gobuildenv.dev/environment";
inline constexpr std::string_view kRevisionAnnotation = "gobuildenv.dev/revision";
inline constexpr std::string_view kContainersAnnotation = "gobuildenv.dev/containers";
inline constexpr std::string_view kSkippedAnnotation = "gobuildenv.dev/skipped";

// On a GoBuildEnv: a changed value resolves the toolchain version anew.
inline constexpr std::string_view kResolveAnnotation = "gobuildenv.dev/resolve";
// On a revision's ConfigMap.
inline constexpr std::string_view kSaltAnnotation = "gobuildenv.dev/salt";
inline constexpr std::string_view kGenerationAnnotation = "gobuildenv.dev/generation";

// Inside containers.
inline constexpr std::string_view kVolumePrefix = "gobuildenv-";
inline constexpr std::string_view kFilesPath = "/etc/gobuildenv";
inline constexpr std::string_view kToolchainPath = "/opt/gobuildenv/toolchain";
inline constexpr std::string_view kCachePath = "/var/cache/gobuildenv";
inline constexpr std::string_view kCsiDriver = "gobuildenv.dev";

/// An image reference nobody can serve; containers that use it get spec.conda.baseImage.
inline constexpr std::string_view kPlaceholderImage = "conda-base.gobuildenv.invalid/auto:1";

}  // namespace gobuildenv::goenv
