#pragma once

#include <string_view>
#include <vector>

#include "controllers/gobuildenv/decide.hpp"
#include "crds/gobuildenv.hpp"

/// Conditions as kstatus reads them, and the Events that tell of their transitions.
namespace gobuildenv::controllers {

/// Sets the condition of that type. `wanted.last_transition_time` is the time of a transition:
/// where the status stays the same the old time is kept.
void set_condition(crds::Status& status, crds::Condition wanted);

/// Takes the condition of that type away, if it is there.
void clear_condition(crds::Status& status, std::string_view type);

/// Appends an Event for each transition from `before` to `after` that a person should hear of: a
/// first Ready is none, so that 10,000 new environments make no Events.
void note_transitions(const crds::Status& before, const crds::Status& after,
                      std::vector<EventNote>& events);

}  // namespace gobuildenv::controllers
