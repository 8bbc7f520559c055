#include "controllers/gobuildenv/refusals.hpp"

#include <algorithm>

#include "controllers/outcome.hpp"

namespace gobuildenv::controllers {
namespace {

constexpr std::chrono::seconds kFirstWait{10};
constexpr std::chrono::seconds kLongestWait{300};
/// What is told of a failure: as many in a row, over as long. The queue makes a dozen tries in the
/// first half minute, while a webhook of others is rolled or an API server restarts.
constexpr int kFailures = 3;
constexpr std::chrono::seconds kFailing{30};

}  // namespace

bool is_refusal(const kube::Error& error) {
  if (error.kind == kube::Error::Kind::Invalid) return true;
  return error.kind == kube::Error::Kind::Forbidden && error.code != 401 &&
         outcome(error).kind != kube::ReconcileResult::Kind::Final;
}

std::map<std::string, Refusal> Refusals::of(const kube::ObjectKey& environment,
                                            const EnvironmentFacts& facts) const {
  std::map<std::string, Refusal> out;
  const std::scoped_lock lock(mutex_);
  const auto found = refused_.find(environment);
  if (found == refused_.end() || found->second.uid != facts.uid ||
      found->second.generation != facts.generation) {
    return out;
  }
  const auto now = clock_.now();
  for (const auto& [name, entry] : found->second.entries) {
    const auto left = std::chrono::ceil<std::chrono::seconds>(entry.due - now);
    if (left > std::chrono::seconds::zero()) out[name] = fact_of(entry, left);
  }
  return out;
}

bool Refusals::note(const kube::ObjectKey& environment, EnvironmentFacts& facts,
                    const std::string& name, const kube::Error& error) {
  const std::scoped_lock lock(mutex_);
  Refused& refused = refused_[environment];
  if (refused.uid != facts.uid || refused.generation != facts.generation) {
    refused = {facts.uid, facts.generation, {}};
  }
  Entry& entry = refused.entries[name];
  const auto now = clock_.now();
  const bool failed = !is_refusal(error);
  if (!failed) {
    entry.failures = 0;
  } else if (entry.failures++ == 0) {
    entry.failing_since = now;
  }
  if (!failed || (entry.failures >= kFailures && now - entry.failing_since >= kFailing)) {
    entry.told = {error.message, 0, failed};
  } else if (entry.wait == std::chrono::seconds::zero()) {
    return false;
  }
  entry.wait = std::clamp(2 * entry.wait, kFirstWait, kLongestWait);
  entry.due = now + entry.wait;
  facts.refused[name] = fact_of(entry, entry.wait);
  return true;
}

void Refusals::let_in(const kube::ObjectKey& environment, const std::string& name) {
  const std::scoped_lock lock(mutex_);
  const auto found = refused_.find(environment);
  if (found == refused_.end()) return;
  found->second.entries.erase(name);
  if (found->second.entries.empty()) refused_.erase(found);
}

void Refusals::settled(const kube::ObjectKey& environment) {
  const std::scoped_lock lock(mutex_);
  const auto found = refused_.find(environment);
  if (found == refused_.end()) return;
  std::erase_if(found->second.entries,
                [](const auto& item) { return item.second.wait == std::chrono::seconds::zero(); });
  if (found->second.entries.empty()) refused_.erase(found);
}

void Refusals::forget(const kube::ObjectKey& environment) {
  const std::scoped_lock lock(mutex_);
  refused_.erase(environment);
}

}  // namespace gobuildenv::controllers
