#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "agent/collector/policy.hpp"

/// `<root>/collector.json`: what the agent knows and the disk does not say, so that
/// `gobuildenv gc --dry-run` on the node decides by the same facts, and so does the agent itself
/// after a start without an API server. Pure.
namespace gobuildenv::agent::collector {

inline constexpr std::string_view kFactsFile = "collector.json";

/// What the pods and GoBuildEnvs of the cluster asked for when they were last known. An agent that
/// starts without an API server goes by it.
struct LastKnown {
  std::vector<std::string> pods;  ///< all of this node, by the names of the kubelet's folders
  std::vector<Root> roots;        ///< of these pods, even of volumes with a record, and of specs
};

struct AgentFacts {
  std::int64_t written_at = 0;  ///< seconds since 1970
  Limits limits;
  std::vector<Root> roots;  ///< beside the volumes, whose records are on the disk
  std::optional<LastKnown> last_known;
};

[[nodiscard]] std::string to_json(const AgentFacts& facts);
/// Unknown members are passed over. Error: a sentence.
[[nodiscard]] tl::expected<AgentFacts, std::string> parse_agent_facts(std::string_view text);

}  // namespace gobuildenv::agent::collector
