#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "controllers/gobuildenv/decide.hpp"

/// Pods that asked for an environment and did not get what they asked for. The webhook fails open,
/// so somebody has to say so afterwards.
namespace gobuildenv::controllers {

struct MissedFacts {
  std::string ns;
  std::string environment;          ///< asked for, by label
  std::string revision;             ///< got; empty: none
  bool answered = false;            ///< admission saw the pod and recorded why it changed nothing
  bool in_vain = false;             ///< waits_in_vain()
  bool finished = false;            ///< nothing matters any more
  bool injection_disabled = false;  ///< its namespace is left alone on purpose
  bool environment_exists = false;
  bool environment_served = false;  ///< it has a revision that serves
  bool old_news = false;            ///< created when a leader looked, who has told of it
};

/// The Event to leave on the pod, if any. Pure.
std::optional<EventNote> decide_missed(const MissedFacts& facts);

}  // namespace gobuildenv::controllers
