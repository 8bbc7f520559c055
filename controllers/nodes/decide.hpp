#pragma once

#include <cstdint>

#include "controllers/nodes/tally.hpp"
#include "crds/gobuildenv.hpp"

namespace gobuildenv::controllers {

/// On a GoBuildEnv whose toolchain nodes mount: whether it is in the store of every node.
inline constexpr std::string_view kToolchainReady = "ToolchainReady";

/// What a status says of nodes: `nodes`, and the condition ToolchainReady. Both are absent under
/// `delivery: Download`, where pods fetch for themselves, and where no node has an agent.
/// `mounted`: delivery is Volume. `now`: seconds since 1970, of a transition. Pure.
void set_nodes(crds::Status& status, const NodeFacts& nodes, bool mounted, std::int64_t generation,
               std::int64_t now);

/// Whether set_nodes() would change the status, times left aside.
[[nodiscard]] bool nodes_differ(const crds::Status& status, const NodeFacts& nodes, bool mounted,
                                std::int64_t generation);

}  // namespace gobuildenv::controllers
