#include "agent/node/cache_sharing.hpp"

#include <fmt/format.h>

#include <utility>

namespace gobuildenv::agent {

tl::expected<std::unique_ptr<NodeCaches>, std::string> share_caches(
    const std::string& root, const std::string& boot_id, kube::Clock& clock,
    const kube::Informer<EnvironmentRecord>& environments,
    std::function<std::string(const std::string& ns)> namespace_uid, TakeLease lease,
    NodeCaches::Done done) {
  NodeCachesOptions options;
  options.root = root;
  options.boot_id = boot_id;
  options.lease = std::move(lease);
  CacheLookups lookups;
  lookups.namespace_uid = std::move(namespace_uid);
  lookups.declared = [&environments](const std::string& ns, const std::string& name)
      -> tl::expected<std::optional<goenv::Cache>, std::string> {
    const auto found = environments.get({ns, name});
    if (found) return found->cache.value_or(goenv::Cache{});
    if (environments.has_synced()) return std::nullopt;
    return tl::unexpected(
        fmt::format("the node agent has not seen GoBuildEnv {}/{} yet", ns, name));
  };
  return NodeCaches::open(std::move(options), std::move(lookups), clock, std::move(done));
}

}  // namespace gobuildenv::agent
