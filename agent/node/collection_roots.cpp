#include "agent/node/collection_roots.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "agent/toolchains/toolchain_id.hpp"

namespace gobuildenv::agent {
namespace {

using collector::Root;
using std::chrono::seconds;

constexpr seconds kDay = std::chrono::hours(24);

std::string toolchain_folder(const goenv::GoVersion& version, const NodePlatform& platform) {
  return "toolchains/" + ToolchainId{version, platform.os, platform.arch}.name();
}

bool is_published(const PodRecord& pod, const PodVolume& volume,
                  std::span<const VolumeRecord> records) {
  return std::any_of(records.begin(), records.end(), [&](const VolumeRecord& record) {
    // Two environments cannot both have changed a pod, so the kind tells its volumes apart.
    return record.pod.uid == pod.uid && record.kind == volume.kind;
  });
}

void widen(collector::Limits& limits, const std::string& name,
           const collector::Retention& retention) {
  const auto [it, fresh] = limits.environments.try_emplace(name, retention);
  if (fresh) return;
  it->second.unused_for = std::max(it->second.unused_for, retention.unused_for);
  it->second.max_bytes = std::max(it->second.max_bytes, retention.max_bytes);
}

}  // namespace

std::vector<Root> environment_roots(std::span<const NamedEnvironment> environments,
                                    const NodePlatform& platform) {
  struct Users {
    std::string first;
    std::size_t count = 0;
  };
  std::map<std::string, Users> folders;
  for (const NamedEnvironment& environment : environments) {
    const std::string name = environment.meta.key.ns + "/" + environment.meta.key.name;
    for (const goenv::GoVersion& version : environment.value->versions) {
      Users& users = folders[toolchain_folder(version, platform)];
      // The same one in each run, whatever the cache's order.
      if (users.count == 0 || name < users.first) users.first = name;
      ++users.count;
    }
  }
  std::vector<Root> out;
  for (const auto& [folder, users] : folders) {
    std::string why = "GoBuildEnv " + users.first;
    if (users.count > 1) why += fmt::format(" and {} more", users.count - 1);
    out.push_back({folder, why + " may ask for it"});
  }
  return out;
}

std::vector<Root> pod_roots(const PodRecord& pod, std::span<const VolumeRecord> records,
                            std::string_view namespace_uid, const NodePlatform& platform) {
  std::vector<Root> out;
  if (pod.finished) return out;
  for (const PodVolume& volume : pod.volumes) {
    if (is_published(pod, volume, records)) continue;
    std::string path;
    if (volume.kind == VolumeKind::Toolchain) {
      const auto version = goenv::parse_version(volume.toolchain);
      if (!version || version->is_range()) continue;
      path = toolchain_folder(*version, platform);
    } else {
      if (volume.scope == goenv::CacheScope::Pod || namespace_uid.empty()) continue;
      const bool wide = volume.scope == goenv::CacheScope::Namespace;
      path = fmt::format("caches/{}/{}",
                         caches_of(namespace_uid, wide ? kNamespaceCaches : volume.environment),
                         volume.kind == VolumeKind::Modules ? "mod" : "build");
    }
    out.push_back({std::move(path), fmt::format("pod {}/{} is to mount it", pod.ns, pod.name)});
  }
  return out;
}

std::vector<Root> volume_roots(std::span<const VolumeRecord> records) {
  std::vector<Root> out;
  out.reserve(records.size());
  for (const VolumeRecord& record : records) {
    std::string why =
        fmt::format("volume {} of pod {}/{}", record.volume_id, record.pod.ns, record.pod.name);
    if (!record.lower.empty()) out.push_back({record.lower, why});
    for (const std::string& newer : record.newer) out.push_back({newer, why});
    out.push_back({record.source, std::move(why)});
  }
  return out;
}

collector::Limits limits_of(collector::Limits node, std::span<const NamedEnvironment> environments,
                            const NamespaceUidOf& namespace_uid) {
  node.environments_complete = true;
  for (const NamedEnvironment& environment : environments) {
    const auto& retention = environment.value->retention;
    if (!retention) continue;
    const std::string uid = namespace_uid(environment);
    if (uid.empty()) {
      node.environments_complete = false;
      continue;
    }
    node.environments[caches_of(uid, environment.meta.key.name)] = *retention;
    widen(node, caches_of(uid, kNamespaceCaches), *retention);
  }
  return node;
}

seconds longest_build(std::span<const VolumeRecord> records,
                      std::chrono::system_clock::time_point now) {
  const auto wall = std::chrono::duration_cast<seconds>(now.time_since_epoch());
  seconds out{0};
  for (const VolumeRecord& record : records) {
    const seconds runs = wall - seconds(record.published_at);
    out = std::max(out, runs < seconds(0) ? kDay : std::min(runs, kDay));
  }
  return out;
}

std::string caches_of(std::string_view namespace_uid, std::string_view environment) {
  return fmt::format("{}/{}", namespace_uid, environment);
}

}  // namespace gobuildenv::agent
