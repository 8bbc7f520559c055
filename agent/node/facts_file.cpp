#include "agent/node/facts_file.hpp"

#include <utility>

#include "agent/durable_file.hpp"

namespace gobuildenv::agent {

FactsFile::FactsFile(const std::string& root)
    : path_(root + "/" + std::string(collector::kFactsFile)) {}

void FactsFile::update(collector::AgentFacts facts) {
  const std::string text = to_json(facts);
  facts.written_at = 0;
  facts.limits.longest_build = collector::seconds(0);
  std::string without_times = to_json(facts);
  if (without_times == written_) return;
  if (!write_durably(path_, text)) written_ = std::move(without_times);
}

}  // namespace gobuildenv::agent
