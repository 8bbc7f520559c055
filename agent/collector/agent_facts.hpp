#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "agent/collector/policy.hpp"

/// `<root>/collector.json`: what the agent knows and the disk does not say, so that
/// `gobuildenv gc --dry-run` on the node decides by the same facts. Pure.
namespace gobuildenv::agent::collector {

inline constexpr std::string_view kFactsFile = "collector.json";

struct AgentFacts {
  std::int64_t written_at = 0;  ///< seconds since 1970
  Limits limits;
  std::vector<Root> roots;  ///< beside the volumes, whose records are on the disk
};

[[nodiscard]] std::string to_json(const AgentFacts& facts);
/// Unknown members are passed over. Error: a sentence.
[[nodiscard]] tl::expected<AgentFacts, std::string> parse_agent_facts(std::string_view text);

}  // namespace gobuildenv::agent::collector
