#pragma once

#include <cstdint>
#include <string>

#include "agent/collector/build_cache.hpp"
#include "agent/collector/remove.hpp"

namespace gobuildenv::agent::collector {

struct BuildRemoval {
  Totals removed;
  std::uint64_t actions = 0;
  std::uint64_t outputs = 0;
  std::uint64_t kept_outputs = 0;  ///< old themselves, but an action that stays names them
  std::uint64_t failed = 0;
  std::string error;    ///< the first failure
  bool in_use = false;  ///< stopped: a root has appeared
};

/// Removes from the build cache `cache` what was not used for `older_than`: first actions, then the
/// outputs that no action names any more. The other way round a running build would be told of an
/// output that is not there. Each file's stamp is read again right before it goes.
///
/// A build that runs meanwhile may write a new action for an old output, which go does not touch
/// then. New actions are looked for again before each of 256 batches of outputs; what is left is a
/// window of milliseconds, and it takes a build in a cache that no root protects. Steps:
/// "build-action", "build-actions-done", "build-output".
[[nodiscard]] BuildRemoval remove_builds(const Fd& cache, seconds older_than, const Trash& trash,
                                         const IdleOf& idle_of, const InUseNow& in_use,
                                         const StepHook& hook = {});

}  // namespace gobuildenv::agent::collector
