#include "agent/node/prefetcher.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <utility>

namespace gobuildenv::agent {

Prefetcher::Prefetcher(PrefetchOptions options, PrefetchEdges edges)
    : options_(std::move(options)), edges_(std::move(edges)) {}

Prefetcher::~Prefetcher() { stop(); }

void Prefetcher::start() {
  thread_ = std::thread([this] { run(); });
}

void Prefetcher::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Prefetcher::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  wake_.notify_all();
}

PrefetchWaiting Prefetcher::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_;
}

void Prefetcher::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    woken_ = false;
    lock.unlock();
    if (edges_.synced()) look();
    lock.lock();
    const auto until = edges_.clock.now() + options_.interval;
    while (!woken_ && !stopping_ && edges_.clock.now() < until) {
      edges_.clock.wait_until(lock, wake_, until);
    }
  }
}

/// Every toolchain that new pods would get. Pinned ones are fetched when a pod asks: they are
/// private to their namespace, and few.
void Prefetcher::look() {
  std::set<ToolchainWant> wanted;
  for (const auto& record : edges_.environments()) {
    if (!record->pinned.empty()) continue;
    for (const goenv::GoVersion& version : record->prefetch) {
      wanted.insert(
          ToolchainWant{{version, options_.platform.os, options_.platform.arch}, std::nullopt});
    }
  }
  PrefetchFacts facts;
  const auto entries = edges_.toolchains.entries();
  facts.in_flight = static_cast<std::size_t>(
      std::count_if(entries.begin(), entries.end(), [](const ToolchainProvider::Entry& entry) {
        return entry.state.kind == ToolchainState::Kind::Fetching;
      }));
  for (const ToolchainWant& want : wanted) {
    facts.wanted.push_back({want, edges_.toolchains.state(want)});
  }
  facts.disk = edges_.disk();
  facts.now = edges_.clock.now();
  PrefetchPlan plan = plan_prefetch(facts, options_.limits);
  for (const ToolchainWant& want : plan.begin) edges_.toolchains.ensure(want);
  bool other = false;
  bool turned = false;
  {
    const std::lock_guard lock(mutex_);
    turned = waiting_.held != plan.held;
    other = turned || waiting_.wants != plan.later;
    waiting_ = {std::move(plan.later), plan.held};
  }
  if (turned && plan.held) {
    spdlog::warn("disk is above the high watermark, toolchains are fetched for pods only high={}",
                 options_.limits.high_percent);
  } else if (turned) {
    spdlog::info("toolchains are fetched ahead again");
  }
  if (other) edges_.changed();
}

}  // namespace gobuildenv::agent
