#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "agent/collector/trash.hpp"
#include "agent/step_hook.hpp"

/// Takes units away so that go, at any moment and after a crash at any moment, finds them whole or
/// finds them missing.
namespace gobuildenv::agent::collector {

enum class Removal {
  Done,
  Gone,    ///< it was not there any more
  Busy,    ///< go holds its lock: it is being fetched right now
  InUse,   ///< a root has appeared since the decision
  Failed,  ///< `error` says why
};

struct RemovalResult {
  Removal outcome = Removal::Done;
  std::string error;  ///< path and cause
};

/// Asked immediately before a unit goes: whether a root protects it by now.
using InUseNow = std::function<bool()>;

/// A module version of the module cache `cache`: under go's own lock, `.partial` is set (which
/// makes go extract again), the folder goes to the trash in one rename, then zip, ziphash and
/// `.partial`. The lock file stays: a second one would let in two owners at once. `.info` and
/// `.mod` stay, too: the module graph is computed from them. Steps: "module-partial",
/// "module-renamed", "module-zip", "module-ziphash", "module-done".
///
/// Without a lock file `cache` is a layer (nobody runs go there, and no pod has it mounted while
/// `in_use` says no): neither a lock nor `.partial` is made. They would be root's, and whoever is
/// shown the layer next could neither open the one nor extract again because of the other, had we
/// died before the rename. That is one step as it is. No step "module-partial" then.
[[nodiscard]] RemovalResult remove_module(const Fd& cache, const std::string& module,
                                          const Trash& trash, const InUseNow& in_use,
                                          const StepHook& hook = {});

/// The zip alone; go needs it no more once the module is extracted. Step: "zip-removed".
[[nodiscard]] RemovalResult remove_zip(const Fd& cache, const std::string& module,
                                       const InUseNow& in_use, const StepHook& hook = {});

/// A bare clone, `name` "cache/vcs/<hash>", under go's lock where there is one. Steps:
/// "vcs-renamed", "vcs-done".
[[nodiscard]] RemovalResult remove_vcs(const Fd& cache, const std::string& name, const Trash& trash,
                                       const InUseNow& in_use, const StepHook& hook = {});

/// A whole folder, `path` below `root`: a toolchain, a generation, a pod's layer. One rename. Step:
/// "folder-renamed".
[[nodiscard]] RemovalResult remove_folder(const Fd& root, const std::string& path,
                                          const Trash& trash, const InUseNow& in_use,
                                          const StepHook& hook = {});

}  // namespace gobuildenv::agent::collector
