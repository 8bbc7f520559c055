#pragma once

#include <string_view>

#include "goenv/pod_plan.hpp"
#include "webhooks/environments.hpp"
#include "webhooks/pod/changes.hpp"
#include "webhooks/pod/pod_view.hpp"
#include "webhooks/pod/select.hpp"
#include "webhooks/review.hpp"

/// The pod webhook: what a pod gets, and the answer.
namespace gobuildenv::webhooks {

/// Selection and, when an environment applies, what it changes.
struct Evaluation {
  Selection selection;
  const goenv::PodPlan* plan = nullptr;  ///< of selection.environment, which `changes` points into
  Changes changes;                       ///< meaningful when selection.outcome is Selected
};

/// Everything decided about `pod`, before it becomes an answer, a patch or an explanation.
Evaluation evaluate(const PodView& pod, std::string_view ns, const EnvironmentLookup& lookup,
                    const PodWebhookOptions& options);

/// The whole decision. Never throws for what a review can hold; what is not the creation of a pod
/// is allowed unchanged. A fault of ours is answered allowed, unpatched, with a warning, unless the
/// pod must not run without its environment, or nobody here knows whether it must.
AdmissionResponse decide(const Review& review, const EnvironmentLookup& lookup,
                         const PodWebhookOptions& options);

}  // namespace gobuildenv::webhooks
