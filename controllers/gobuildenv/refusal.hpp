#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "crds/gobuildenv.hpp"

/// A ConfigMap that the API server does not let us write (quota, a policy, a webhook of others, a
/// missing permission) or fails to write for long. What is said of it to people.
namespace gobuildenv::controllers {

/// Reason of Stalled and Ready; of Exported where it is the export.
inline constexpr std::string_view kConfigMapRefused = "ConfigMapRefused";
/// The same where nobody says no, and no write succeeds either: a webhook of others is down.
inline constexpr std::string_view kConfigMapFailed = "ConfigMapFailed";
/// Reason of an Event: the status itself is refused, so no condition can tell of it.
inline constexpr std::string_view kStatusRefused = "StatusRefused";

/// The answer to the last try.
struct Refusal {
  std::string message;        ///< of the API server
  std::int64_t retry_in = 0;  ///< seconds until it is tried again
  bool failed = false;        ///< no answer to the question: it failed, again and again

  [[nodiscard]] std::string_view reason() const {
    return failed ? kConfigMapFailed : kConfigMapRefused;
  }
};

/// A condition's message: the ConfigMap, the API server's words, the next step. `before` is the
/// condition that tells of it so far, or null. Its message stays while it tells of the same
/// ConfigMap and says the same but for figures: quota counts what others do, and that is no news.
/// Of a failure it stays whatever the words, unless they name another webhook: one that is down is
/// refused, times out and has no endpoints by turns.
std::string describe_refusal(std::string_view config_map, const Refusal& refusal,
                             const crds::Condition* before);

/// The Event's message of a refused status: `words` of the API server, and the next step.
std::string describe_refused_status(std::string_view words);

}  // namespace gobuildenv::controllers
