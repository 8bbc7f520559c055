#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "kube/client.hpp"

/// A taint that nodes are born with, so that no build pod comes before the driver does; the agent
/// takes it away.
namespace gobuildenv::agent {

struct Taint {
  std::string key;
  std::string value;   ///< empty: whatever the node's is
  std::string effect;  ///< NoSchedule, PreferNoSchedule or NoExecute
};

/// Reads "key[=value]:Effect". Error: what to write instead.
[[nodiscard]] tl::expected<Taint, std::string> parse_taint(std::string_view text);

/// The JSON patch that takes `taint` from a Node, and fails where the Node has changed meanwhile.
/// Empty: it has none.
[[nodiscard]] std::optional<std::string> untaint_patch(std::string_view node_json,
                                                       const Taint& taint);

/// Takes it away now, trying again where the Node changes meanwhile. Gives whether there was one.
[[nodiscard]] tl::expected<bool, kube::Error> remove_taint(kube::Client& client,
                                                           const std::string& node,
                                                           const Taint& taint,
                                                           kube::Deadline deadline);

}  // namespace gobuildenv::agent
