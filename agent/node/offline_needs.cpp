#include "agent/node/offline_needs.hpp"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <utility>

#include "agent/collector/fd.hpp"

namespace gobuildenv::agent {
namespace {

using collector::Root;

constexpr std::size_t kMaxFacts = std::size_t{64} << 20U;
constexpr collector::Retention kForEver{.unused_for = std::chrono::hours(24 * 365 * 100),
                                        .max_bytes = std::numeric_limits<std::uint64_t>::max()};

std::vector<Root> keep_all(const std::string& why) {
  return {{"toolchains", why, false}, {"caches", why, false}};
}

}  // namespace

OfflineNeeds::OfflineNeeds(const std::string& root, std::string pods_dir)
    : pods_dir_(std::move(pods_dir)) {
  const auto folder = collector::open_trusted_folder(root);
  if (!folder) return;
  const auto text =
      collector::read_at(folder->get(), std::string(collector::kFactsFile), kMaxFacts);
  if (!text) return;
  auto facts = collector::parse_agent_facts(*text);
  if (facts && facts->last_known) facts_ = std::move(*facts);
}

std::string OfflineNeeds::unknown_pod() const {
  const auto& known = facts_->last_known->pods;
  std::error_code error;
  std::filesystem::directory_iterator at(pods_dir_, error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    std::string name = at->path().filename().string();
    if (std::find(known.begin(), known.end(), name) == known.end()) return name;
  }
  return error ? pods_dir_ + ": " + error.message() : std::string();
}

std::vector<Root> OfflineNeeds::roots() const {
  if (!facts_) return keep_all("the API server has not answered, and what pods need is not known");
  const std::string unknown = unknown_pod();
  if (unknown.empty()) return facts_->last_known->roots;
  return keep_all("the API server has not answered, and pod " + unknown + " may need it");
}

collector::Limits OfflineNeeds::limits(collector::Limits node) const {
  node.node = kForEver;
  if (!facts_) return node;
  node.environments_complete = facts_->limits.environments_complete;
  for (const auto& [name, retention] : facts_->limits.environments) {
    node.environments.emplace(name, kForEver);
  }
  return node;
}

}  // namespace gobuildenv::agent
