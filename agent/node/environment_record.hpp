#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "agent/collector/policy.hpp"
#include "agent/csi/volume_service.hpp"
#include "goenv/spec.hpp"
#include "goenv/version.hpp"
#include "kube/decoded.hpp"

/// What the agent keeps of each GoBuildEnv: which toolchains its pods may ask for. Pure.
namespace gobuildenv::agent {

struct EnvironmentRecord {
  /// Exact releases that pods of this environment may name: of the served revision, of the newest
  /// spec and of the revisions kept, each once.
  std::vector<goenv::GoVersion> versions;
  /// Those that new pods get: worth fetching before one asks. Empty under `delivery: Download`.
  std::vector<goenv::GoVersion> prefetch;
  /// `switching: AllowNewer`: pods may be given what is on the node and newer.
  bool allow_newer = false;
  /// `spec.toolchain.sums` for this node's platform: the h1 that the toolchain must have. Empty:
  /// the checksum database says.
  std::string pinned;
  /// `spec.cache.retention`, where it shares caches between pods.
  std::optional<collector::Retention> retention;
  /// `spec.cache`, where it shares anything between pods.
  std::optional<goenv::Cache> cache;
};

/// The platform of the machine this runs on, in Go's words.
struct NodePlatform {
  std::string os = "linux";
  std::string arch;
};
[[nodiscard]] NodePlatform this_platform();

/// Decodes one GoBuildEnv for an informer.
[[nodiscard]] tl::expected<kube::Decoded<EnvironmentRecord>, std::string> decode_environment(
    std::string_view json, const NodePlatform& platform);

/// Which toolchain a volume gets. `environment` is null where the namespace has none of that name;
/// `synced`: whether that is known for certain; `namespace_uid` is only used for pinned sums.
struct WantFacts {
  const VolumeSpec& spec;
  const EnvironmentRecord* environment = nullptr;
  bool synced = false;
  std::string namespace_uid;
  NodePlatform platform;
};
/// A pod cannot make the node fetch what no environment of its namespace declares.
[[nodiscard]] tl::expected<ToolchainWant, WantError> decide_want(const WantFacts& facts);

/// What a volume of `want` offers beside it under AllowNewer, of what is `stored`: each newer
/// version of the same platform once, the newest few. Only what everybody may have, or what is
/// pinned in the pod's own namespace.
[[nodiscard]] std::vector<std::string> newer_goroots(const ToolchainWant& want,
                                                     std::span<const StoredToolchain> stored);

}  // namespace gobuildenv::agent
