#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "webhooks/environments.hpp"
#include "webhooks/pod/pod_view.hpp"

/// Which environment a pod of a namespace gets, by label or podSelector, or why none.
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
  Unavailable,  ///< the environments, the namespace or the CSIDriver cannot be read at the moment
  Conflict,     ///< more than one podSelector matches, readable or not
  Unreadable,   ///< the revision's pod.json is not for this build
  Windows,      ///< environments are for Linux
  Selected,     ///< an environment applies
};

/// The end of the reason of Outcome::Unavailable.
inline constexpr std::string_view kNotNow = " cannot be read at the moment";

struct Selection {
  Outcome outcome = Outcome::NotAsked;
  std::shared_ptr<const ServedEnvironment> environment;  ///< when Selected
  std::string name;                                      ///< the environment asked for
  std::string reason;  ///< a sentence for people; empty when NotAsked
  bool must = false;   ///< required by the pod or enforced by the namespace: no build without it
  bool by_selector = false;
  bool enforced_unknown = false;  ///< asked by label, and whether the namespace enforces is unknown
};

/// Which environment applies to a pod of namespace `ns`.
Selection select(const PodView& pod, std::string_view ns, const EnvironmentLookup& lookup,
                 const PodWebhookOptions& options);

/// "selected", "missing", …: for the audit annotation `result` and for machine-readable output.
std::string_view to_string(Outcome outcome);

}  // namespace gobuildenv::webhooks
