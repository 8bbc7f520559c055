#pragma once

#include "webhooks/review.hpp"

namespace gobuildenv::webhooks {

/// The answer to the creation or update of a GoBuildEnv: denied with every field error in one
/// message, or allowed with advice as warnings. Speaks on spec changes only, so that objects an
/// older rule let in can still be labelled, finalized and deleted.
AdmissionResponse validate(const Review& review);

}  // namespace gobuildenv::webhooks
