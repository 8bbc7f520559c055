#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "agent/toolchains/fetch.hpp"
#include "agent/toolchains/provider.hpp"
#include "agent/toolchains/store.hpp"
#include "kube/clock.hpp"

namespace gobuildenv::agent {

/// What a fetch cost so far.
struct FetchFigures {
  std::uint64_t downloaded = 0;  ///< bytes; 0 where the toolchain was in the store already
  kube::Clock::Duration elapsed{};
};

struct ProviderOptions {
  FetchOptions fetch;
  unsigned parallel = 3;  ///< toolchains fetched at once; threads start with the first fetch
  /// After the n-th failure in a row: base · 2ⁿ, at most max, plus up to a fifth of jitter. What
  /// does not pass by itself (a wrong sum, no such release) waits max at once.
  std::chrono::milliseconds retry_base{5'000};
  std::chrono::milliseconds retry_max{300'000};
  /// Called, without locks, on the fetching thread when a fetch begins, is done or has failed: for
  /// Events and metrics. May be empty.
  std::function<void(const ToolchainWant&, const ToolchainState&, const FetchFigures&)> changed;
};

/// A provider over `store` that fetches what it has not. `store` and `clock` outlive it. Its
/// destructor stops fetches in progress and joins their threads; an attempt to connect may delay it
/// by FetchOptions::web.answer, so a process in a hurry simply exits: every instant is safe to.
[[nodiscard]] std::unique_ptr<ToolchainProvider> make_toolchain_provider(ToolchainStore& store,
                                                                         ProviderOptions options,
                                                                         kube::Clock& clock,
                                                                         kube::Random random);

}  // namespace gobuildenv::agent
