#include "controllers/missed/decide.hpp"

#include <fmt/format.h>

namespace gobuildenv::controllers {

std::optional<EventNote> decide_missed(const MissedFacts& facts) {
  if (facts.finished) return std::nullopt;
  if (!facts.revision.empty()) {
    // A pod that runs has its files mounted and goes on without the environment.
    if (!facts.in_vain) return std::nullopt;
    if (facts.environment_exists) {
      return EventNote{
          true, "RevisionDeleted",
          fmt::format("revision {} of GoBuildEnv {} was deleted before this pod started; "
                      "the pod waits for it in vain: create the pod anew",
                      facts.revision, facts.environment)};
    }
    return EventNote{
        true, "EnvironmentDeleted",
        fmt::format("GoBuildEnv {} was deleted before this pod started; the pod waits for revision "
                    "{} in vain: create the environment and then the pod anew",
                    facts.environment, facts.revision)};
  }
  if (facts.answered || facts.injection_disabled || facts.old_news) return std::nullopt;
  if (!facts.environment_exists) {
    return EventNote{
        true, "EnvironmentNotFound",
        fmt::format("the pod asks for GoBuildEnv {}, which does not exist in namespace "
                    "{}: it runs unchanged; create the environment and then the pod "
                    "anew, or remove the label",
                    facts.environment, facts.ns)};
  }
  if (!facts.environment_served) {
    return EventNote{true, "EnvironmentNotReady",
                     fmt::format("the pod asks for GoBuildEnv {}, which has no revision to serve: "
                                 "it runs unchanged; see the environment's conditions, then create "
                                 "the pod anew",
                                 facts.environment)};
  }
  return EventNote{true, "EnvironmentMissed",
                   fmt::format("the pod asks for GoBuildEnv {} and was created without it, as the "
                               "webhook did not answer or the environment came later: it runs "
                               "unchanged; create the pod anew",
                               facts.environment)};
}

}  // namespace gobuildenv::controllers
