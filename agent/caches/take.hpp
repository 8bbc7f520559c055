#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <tl/expected.hpp>
#include <vector>

#include "agent/collector/fd.hpp"
#include "agent/step_hook.hpp"

/// What the making of a new layer has in common for modules and for build outputs.
namespace gobuildenv::agent {

using collector::Fd;

struct TakeLimits {
  std::uint64_t bytes = std::uint64_t{20} << 30U;  ///< of a layer, as it takes of the disk
  /// Modules or build entries of a layer, and as many new ones that are looked at in a round: what
  /// is known of them is in memory meanwhile.
  std::uint64_t entries = 200'000;
};

struct TakeReport {
  std::uint64_t taken = 0;    ///< modules or build entries that are new
  std::uint64_t kept = 0;     ///< that were there before, as far as not collected meanwhile
  std::uint64_t dropped = 0;  ///< that were there, and found no room: the oldest
  std::uint64_t refused = 0;  ///< that failed a check, or have no room
  std::uint64_t bytes = 0;    ///< of the layer
  std::string first_refusal;  ///< a sentence

  void refuse(std::string why) {
    if (refused++ == 0) first_refusal = std::move(why);
  }
};

/// The disk failed, or `stopped` said so (operation_canceled): the layer is to be thrown away.
struct TakeError {
  std::string message;
  std::error_code code;
};

struct TakeInput {
  const Fd* base = nullptr;    ///< the layer to build on; null: there is none
  std::span<const Fd> uppers;  ///< what pods wrote: hostile
  const Fd& next;              ///< an empty folder, the layer to be
  const Fd& scratch;           ///< an empty folder on the same file system, thrown away afterwards
  TakeLimits limits;
  std::function<bool()> stopped;  ///< may be empty
  /// Sees "linked" once, "taken" after each entry, "tree" after each module's files were linked.
  StepHook hook;
};

[[nodiscard]] inline tl::unexpected<TakeError> take_error(std::string_view doing,
                                                          std::string_view path,
                                                          std::error_code code) {
  std::string message = "cannot ";
  message.append(doing).append(" ").append(path).append(": ").append(code.message());
  return tl::unexpected(TakeError{std::move(message), code});
}

/// Modes of what pods see of a layer. Any uid must be able to add beside it, to replace it, and to
/// open for writing what go opens so; the overlay keeps all that in the pod's own layer.
inline constexpr unsigned kSharedFolder = 0777;
inline constexpr unsigned kSharedFile = 0666;
/// As go leaves extracted modules.
inline constexpr unsigned kModuleFile = 0444;
inline constexpr unsigned kModuleFolder = 0555;

}  // namespace gobuildenv::agent
