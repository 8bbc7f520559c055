#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "goenv/pod_plan.hpp"
#include "webhooks/environments.hpp"
#include "webhooks/pod/changes.hpp"
#include "webhooks/pod/pod_view.hpp"
#include "webhooks/review.hpp"

/// The pod webhook: which environment a pod asks for, and the answer.
namespace gobuildenv::webhooks {

struct PodWebhookOptions {
  /// Namespaces never touched, whatever they and their pods say; the operator's own belongs here.
  std::vector<std::string> excluded_namespaces{"kube-system"};
};

/// How a pod came to its environment, or why it has none.
enum class Outcome {
  NotAsked,     ///< no label, no podSelector matches
  Excluded,     ///< by its namespace, or a mirror pod, or a CI system's own pod
  Missing,      ///< the environment does not exist
  NotServed,    ///< it exists and has no revision yet
  Unavailable,  ///< the environments cannot be read at the moment
  Conflict,     ///< more than one podSelector matches
  Unreadable,   ///< the revision's pod.json is not for this build
  Windows,      ///< environments are for Linux
  Selected,     ///< an environment applies
};

struct Selection {
  Outcome outcome = Outcome::NotAsked;
  std::shared_ptr<const ServedEnvironment> environment;  ///< when Selected
  std::string name;                                      ///< the environment asked for
  std::string reason;  ///< a sentence for people; empty when NotAsked
  bool must = false;   ///< required by the pod or enforced by the namespace: no build without it
  bool by_selector = false;
};

/// Which environment applies to a pod of namespace `ns`.
Selection select(const PodView& pod, std::string_view ns, const EnvironmentLookup& lookup,
                 const PodWebhookOptions& options);

/// Selection and, when an environment applies, what it changes.
struct Evaluation {
  Selection selection;
  const goenv::PodPlan* plan = nullptr;  ///< of selection.environment, which `changes` points into
  Changes changes;                       ///< meaningful when selection.outcome is Selected
};

/// Everything decided about `pod`, before it becomes an answer, a patch or an explanation.
Evaluation evaluate(const PodView& pod, std::string_view ns, const EnvironmentLookup& lookup,
                    const PodWebhookOptions& options);

/// "selected", "missing", …: for the audit annotation `result` and for machine-readable output.
std::string_view to_string(Outcome outcome);

/// The whole decision. Never throws for what a review can hold; what is not the creation of a pod
/// is allowed unchanged. A fault of ours is answered allowed, unpatched, with a warning, unless the
/// pod must not run without its environment.
AdmissionResponse decide(const Review& review, const EnvironmentLookup& lookup,
                         const PodWebhookOptions& options);

}  // namespace gobuildenv::webhooks
