#include "controllers/gobuildenv/conditions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace gobuildenv::controllers {

void set_condition(crds::Status& status, crds::Condition wanted) {
  const auto at = std::find_if(status.conditions.begin(), status.conditions.end(),
                               [&](const auto& entry) { return entry.type == wanted.type; });
  if (at == status.conditions.end()) {
    status.conditions.push_back(std::move(wanted));
    return;
  }
  if (at->status == wanted.status && !at->last_transition_time.empty()) {
    wanted.last_transition_time = at->last_transition_time;
  }
  *at = std::move(wanted);
}

void clear_condition(crds::Status& status, std::string_view type) {
  std::erase_if(status.conditions, [&](const auto& entry) { return entry.type == type; });
}

void note_transitions(const crds::Status& before, const crds::Status& after,
                      std::vector<EventNote>& events) {
  // A condition that says of a failure what it said before is no news.
  const auto failed_anew = [&](std::string_view type, crds::ConditionStatus failure) {
    const crds::Condition* now = after.find(type);
    if (now == nullptr || now->status != failure) return false;
    const crds::Condition* then = before.find(type);
    return then == nullptr || then->status != failure || then->reason != now->reason ||
           (type != crds::kToolchainResolved && then->message != now->message);
  };
  if (failed_anew(crds::kToolchainResolved, crds::ConditionStatus::False)) {
    const crds::Condition* now = after.find(crds::kToolchainResolved);
    events.push_back({true, now->reason, now->message});
  } else if (failed_anew(crds::kStalled, crds::ConditionStatus::True)) {
    const crds::Condition* now = after.find(crds::kStalled);
    events.push_back({true, now->reason, now->message});
  }
  if (failed_anew(kExported, crds::ConditionStatus::False)) {
    const crds::Condition* now = after.find(kExported);
    events.push_back({true, now->reason, now->message});
  }
  if (!before.current.empty() && before.current != after.current) {
    events.push_back({false, "RevisionServed",
                      fmt::format("revision {} (go{}) is served instead of {}", after.current,
                                  after.toolchain.version, before.current)});
  }
}

}  // namespace gobuildenv::controllers
