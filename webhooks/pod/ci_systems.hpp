#pragma once

#include <span>
#include <string_view>

#include "webhooks/pod/pod_view.hpp"

/// Which containers of a CI system's pods build something, and which are the system's own. One
/// entry per system; nothing else in the tree knows these names.
namespace gobuildenv::webhooks {

struct CiSystem {
  std::string_view name;   ///< for people: "Tekton"
  std::string_view label;  ///< pod label by which the system is recognised …
  std::string_view value;  ///< … and its value; empty: any
  /// Containers that build, as globs; empty: all that are not `helpers`.
  std::span<const std::string_view> builders;
  /// Containers of the system itself: never changed, not even when an environment includes them.
  std::span<const std::string_view> helpers;
  /// Changed only when an environment includes them by their very name.
  std::span<const std::string_view> on_request;
};

/// The system whose pod this is, or nullptr.
const CiSystem* recognise(const StringPairs& labels);

/// Why a whole pod is a CI system's own (a listener, a controller's helper): empty when it is not.
std::string_view own_pod_of_system(const StringPairs& labels);

/// Whether `container` is a proxy or agent that other webhooks inject into pods of any kind.
bool is_injected_helper(std::string_view container);

}  // namespace gobuildenv::webhooks
