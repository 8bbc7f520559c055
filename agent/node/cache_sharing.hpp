#pragma once

#include <functional>
#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "agent/caches/node_caches.hpp"
#include "agent/node/environment_record.hpp"
#include "kube/informer.hpp"

namespace gobuildenv::agent {

/// Shared caches by the GoBuildEnvs in `environments`, which outlives them. `boot_id`: of this boot
/// of the node. `namespace_uid` asks the API server, empty when it does not say; `lease` keeps a
/// cache's layers while one is made.
[[nodiscard]] tl::expected<std::unique_ptr<NodeCaches>, std::string> share_caches(
    const std::string& root, const std::string& boot_id, kube::Clock& clock,
    const kube::Informer<EnvironmentRecord>& environments,
    std::function<std::string(const std::string& ns)> namespace_uid, TakeLease lease,
    NodeCaches::Done done);

}  // namespace gobuildenv::agent
