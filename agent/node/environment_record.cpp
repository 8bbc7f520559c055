#include "agent/node/environment_record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "crds/gobuildenv.hpp"

namespace gobuildenv::agent {
namespace {

/// "1.22.3", also as the name of a toolchain; nothing for a range, which pods never name.
std::optional<goenv::GoVersion> exact(std::string_view text) {
  if (text.starts_with("go")) text.remove_prefix(2);
  const auto version = goenv::parse_version(text);
  if (!version || version->is_range() || *version < goenv::kMinimumGo) return std::nullopt;
  return *version;
}

void add(std::vector<goenv::GoVersion>& list, std::string_view text) {
  const auto version = exact(text);
  if (version && std::find(list.begin(), list.end(), *version) == list.end()) {
    list.push_back(*version);
  }
}

tl::unexpected<WantError> refuse(std::string message, bool may_pass = false) {
  return tl::unexpected(WantError{std::move(message), may_pass});
}

}  // namespace

NodePlatform this_platform() {
#if defined(__x86_64__)
  return {"linux", "amd64"};
#elif defined(__aarch64__)
  return {"linux", "arm64"};
#else
#error "name this architecture as Go does"
#endif
}

tl::expected<kube::Decoded<EnvironmentRecord>, std::string> decode_environment(
    std::string_view json, const NodePlatform& platform) {
  auto summary = crds::summarize(json);
  if (!summary) return tl::unexpected(std::move(summary.error()));
  auto record = std::make_shared<EnvironmentRecord>();
  const crds::Status& status = summary->status;
  add(record->versions, status.toolchain.version);
  for (const crds::RevisionRecord& revision : status.history) {
    add(record->versions, revision.toolchain);
  }
  // A spec that this build cannot read leaves what its status says.
  if (const auto spec = crds::decode_spec(summary->spec_json)) {
    add(record->versions, spec->toolchain.version);
    if (spec->toolchain.delivery == goenv::Delivery::Volume) {
      add(record->prefetch, status.toolchain.version);
      add(record->prefetch, spec->toolchain.version);
    }
    record->allow_newer = spec->toolchain.switching == goenv::Switching::AllowNewer;
    const goenv::Cache& cache = spec->cache;
    if (cache.modules != goenv::CacheScope::Pod || cache.build != goenv::CacheScope::Pod) {
      record->retention = {.unused_for = cache.unused_for,
                           .max_bytes = static_cast<std::uint64_t>(cache.max_size_bytes)};
      record->cache = cache;
    }
    for (const goenv::ToolchainSum& sum : spec->toolchain.sums) {
      if (sum.os == platform.os && sum.arch == platform.arch) record->pinned = sum.sum;
    }
  } else {
    record->retention = collector::Retention();  // it may share some
  }
  crds::Metadata& metadata = summary->metadata;
  return kube::Decoded<EnvironmentRecord>{{{std::move(metadata.ns), std::move(metadata.name)},
                                           std::move(metadata.uid),
                                           std::move(metadata.resource_version)},
                                          std::move(record)};
}

std::vector<std::string> newer_goroots(const ToolchainWant& want,
                                       std::span<const StoredToolchain> stored) {
  constexpr std::size_t kMost = 16;  // a mount each
  const std::string own = want.pinned ? "ns-" + want.pinned->namespace_uid + "-" : std::string();
  std::map<goenv::GoVersion, std::string> found;
  for (const StoredToolchain& one : stored) {
    const bool everybodys = one.key.starts_with("h1-");
    const bool allowed = everybodys || (!own.empty() && one.key.starts_with(own));
    const bool fits =
        one.id.os == want.id.os && one.id.arch == want.id.arch && want.id.version < one.id.version;
    if (allowed && fits && (everybodys || !found.contains(one.id.version))) {
      found[one.id.version] = one.goroot();
    }
  }
  while (found.size() > kMost) found.erase(found.begin());
  std::vector<std::string> out;
  for (auto& [version, goroot] : found) out.push_back(std::move(goroot));
  return out;
}

tl::expected<ToolchainWant, WantError> decide_want(const WantFacts& facts) {
  const VolumeSpec& spec = facts.spec;
  if (!spec.toolchain) return refuse("the volume names no toolchain");
  const std::string version = goenv::to_string(*spec.toolchain);
  if (facts.environment == nullptr) {
    return refuse(facts.synced ? fmt::format("namespace {} has no GoBuildEnv {}", spec.pod.ns,
                                             spec.environment)
                               : fmt::format("the node agent has not seen GoBuildEnv {}/{} yet",
                                             spec.pod.ns, spec.environment),
                  true);
  }
  const auto& versions = facts.environment->versions;
  if (std::find(versions.begin(), versions.end(), *spec.toolchain) == versions.end()) {
    return refuse(fmt::format("GoBuildEnv {}/{} does not declare go{}", spec.pod.ns,
                              spec.environment, version),
                  true);
  }
  ToolchainWant want;
  want.id = {*spec.toolchain, facts.platform.os, facts.platform.arch};
  if (!facts.environment->pinned.empty()) {
    if (facts.namespace_uid.empty()) {
      return refuse(fmt::format("the uid of namespace {} is not known yet", spec.pod.ns), true);
    }
    want.pinned = PinnedSum{facts.environment->pinned, facts.namespace_uid};
  }
  return want;
}

}  // namespace gobuildenv::agent
