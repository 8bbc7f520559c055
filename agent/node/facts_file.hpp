#pragma once

#include <string>

#include "agent/collector/agent_facts.hpp"

namespace gobuildenv::agent {

/// Keeps `<root>/collector.json` up to date for `gobuildenv gc`, which runs beside the agent.
class FactsFile {
 public:
  explicit FactsFile(const std::string& root);

  /// Writes, durably, what differs from what is there in more than its times. It only helps people:
  /// where it cannot be written, the next call tries again.
  void update(collector::AgentFacts facts);

 private:
  std::string path_;
  std::string written_;  ///< without its times
};

}  // namespace gobuildenv::agent
