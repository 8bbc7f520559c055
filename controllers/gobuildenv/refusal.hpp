#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "crds/gobuildenv.hpp"

/// A ConfigMap that the API server does not let us write: quota, a policy, a webhook of others,
/// a missing permission. What is said of it to people.
namespace gobuildenv::controllers {

/// Reason of Stalled and Ready; of Exported where it is the export.
inline constexpr std::string_view kConfigMapRefused = "ConfigMapRefused";

/// The answer to the last try.
struct Refusal {
  std::string message;        ///< of the API server
  std::int64_t retry_in = 0;  ///< seconds until it is tried again
};

/// A condition's message: the ConfigMap, the reason, the next step. `before` is the condition that
/// tells of it so far, or null: while it tells of the same ConfigMap and, figures aside, the same
/// reason, its message stays. Quota counts what others do, and that is no news.
std::string describe_refusal(std::string_view config_map, std::string_view reason,
                             const crds::Condition* before);

}  // namespace gobuildenv::controllers
