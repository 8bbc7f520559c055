#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "agent/collector/policy.hpp"
#include "agent/toolchains/provider.hpp"
#include "kube/clock.hpp"

/// Which of the toolchains that environments name are fetched before a pod asks. Pure.
namespace gobuildenv::agent {

/// What a release takes on the disk, about: 226 MB and 10,000 entries, with room to grow.
inline constexpr collector::Totals kUsualToolchain{std::uint64_t{250} << 20U, 12'000};
/// Fetches that are begun ahead at a time: enough to keep the provider's threads busy, few enough
/// that a disk which fills up meanwhile is soon noticed.
inline constexpr std::size_t kMostFetchedAhead = 6;

/// Of a toolchain that is not fetched ahead, in GoNodeCache.
inline constexpr std::string_view kAboveHighWatermark = "DiskAboveHighWatermark";

struct PrefetchCandidate {
  ToolchainWant want;
  ToolchainState state;
};

struct PrefetchFacts {
  std::vector<PrefetchCandidate> wanted;
  std::size_t in_flight = 0;  ///< fetches that go on, those for pods too
  /// Empty: it could not be asked. Then fetches begin, and say what is wrong with it.
  std::optional<collector::Disk> disk;
  kube::Clock::TimePoint now{};
};

struct PrefetchPlan {
  std::vector<ToolchainWant> begin;
  std::vector<ToolchainWant> later;  ///< those whose time has come, but which must wait
  bool held = false;  ///< `later` waits for room on the disk; else for fetches that go on
  friend bool operator==(const PrefetchPlan&, const PrefetchPlan&) = default;
};

/// Nothing begins above the high watermark, nor where what is being fetched will bring the disk
/// there. So what is fetched ahead exceeds it by one toolchain at most, which makes the collector
/// run.
[[nodiscard]] PrefetchPlan plan_prefetch(const PrefetchFacts& facts,
                                         const collector::Limits& limits);

}  // namespace gobuildenv::agent
