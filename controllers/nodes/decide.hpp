#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controllers/nodes/tally.hpp"
#include "crds/gobuildenv.hpp"

namespace gobuildenv::controllers {

/// On a GoBuildEnv whose toolchain nodes mount: whether it is in the store of every node.
inline constexpr std::string_view kToolchainReady = "ToolchainReady";

/// What a status says of nodes: `nodes`, `toolchain.sums` and the condition ToolchainReady. All are
/// absent under `delivery: Download`, where pods fetch for themselves, and where no node has an
/// agent. `mounted`: delivery is Volume. `now`: seconds since 1970, of a transition. Pure.
void set_nodes(crds::Status& status, const NodeFacts& nodes, bool mounted, std::int64_t generation,
               std::int64_t now);

/// What an environment's status says of nodes, and what that follows from. Few differ, whatever the
/// number of environments.
struct NodesTold {
  std::string version;            ///< status.toolchain.version
  std::vector<std::string> sums;  ///< spec.toolchain.sums
  bool mounted = true;            ///< spec.toolchain.delivery is Volume
  std::int32_t ready = 0;
  std::int32_t desired = 0;
  std::vector<goenv::ToolchainSum> verified;  ///< status.toolchain.sums
  /// Of ToolchainReady: status and reason.
  std::optional<std::pair<crds::ConditionStatus, std::string>> condition;

  friend auto operator<=>(const NodesTold&, const NodesTold&) = default;
};
[[nodiscard]] NodesTold told_of_nodes(const crds::Status& status, bool mounted,
                                      std::vector<std::string> sums);

/// What set_nodes() would change of what is told, times and messages left aside.
enum class NodesNews : std::uint8_t { None, Counts, Condition };
[[nodiscard]] NodesNews nodes_news(const NodesTold& told, const NodeFacts& nodes);

/// Whether set_nodes() would change the status, times left aside.
[[nodiscard]] bool nodes_differ(const crds::Status& status, const NodeFacts& nodes, bool mounted);

}  // namespace gobuildenv::controllers
