#include "webhooks/pod/decide.hpp"

#include <algorithm>

#include "goenv/names.hpp"
#include "webhooks/pod/changes.hpp"
#include "webhooks/pod/ci_systems.hpp"
#include "webhooks/pod/patch.hpp"
#include "webhooks/pod/prepared.hpp"

namespace gobuildenv::webhooks {
namespace {

/// The API server cuts all warnings together at 4096 bytes.
constexpr std::size_t kMaxWarnings = 12;

Selection excluded(std::string reason) {
  return {Outcome::Excluded, nullptr, {}, std::move(reason), false, false};
}

std::string in_namespace(std::string_view name, std::string_view ns) {
  return "GoBuildEnv " + std::string(name) + " in namespace " + std::string(ns);
}

Selection select_by_label(std::string_view name, std::string_view ns,
                          const EnvironmentLookup& lookup) {
  Selection selection;
  selection.name = name;
  EnvironmentLookup::Answer answer = lookup.find(ns, name);
  switch (answer.found) {
    case EnvironmentLookup::Found::Yes:
      if (answer.environment && answer.environment->pod_json) {
        selection.outcome = Outcome::Selected;
        selection.environment = std::move(answer.environment);
        return selection;
      }
      [[fallthrough]];
    case EnvironmentLookup::Found::NotServed:
      selection.outcome = Outcome::NotServed;
      selection.reason = in_namespace(name, ns) + " has no revision yet";
      return selection;
    case EnvironmentLookup::Found::No:
      selection.outcome = Outcome::Missing;
      selection.reason = "there is no " + in_namespace(name, ns);
      return selection;
    case EnvironmentLookup::Found::Unknown:
      break;
  }
  selection.outcome = Outcome::Unavailable;
  selection.reason = in_namespace(name, ns) + " cannot be read at the moment";
  return selection;
}

Selection select_by_selector(const PodView& pod, std::string_view ns,
                             const EnvironmentLookup& lookup) {
  Labels labels;
  for (const auto& [key, value] : pod.labels) labels.emplace(key, value);
  const auto matches = lookup.selecting(ns, labels);
  Selection selection;
  if (matches.empty()) return selection;
  if (matches.size() > 1) {
    selection.outcome = Outcome::Conflict;
    selection.reason = "GoBuildEnvs ";
    for (std::size_t i = 0; i < matches.size(); ++i) {
      if (i != 0) selection.reason += i + 1 == matches.size() ? " and " : ", ";
      selection.reason += matches[i]->name;
    }
    selection.reason += " all select this pod; label it " + std::string(goenv::kEnvLabel);
    return selection;
  }
  selection.name = matches.front()->name;
  selection.by_selector = true;
  selection.outcome = Outcome::Selected;
  selection.environment = matches.front();
  return selection;
}

void audit(AdmissionResponse& response, std::string_view key, std::string_view value) {
  if (!value.empty()) response.audit_annotations.emplace_back(key, value);
}

/// The answer for a pod that asked and cannot be served.
AdmissionResponse refuse(const Selection& selection, Outcome outcome, const std::string& reason) {
  AdmissionResponse response;
  audit(response, "environment", selection.name);
  if (!selection.must) {
    response.warnings.push_back(as_warning("gobuildenv: pod unchanged: " + reason));
    audit(response, "result", to_string(outcome));
    return response;
  }
  response.allowed = false;
  const bool passing = outcome == Outcome::NotServed || outcome == Outcome::Unavailable;
  response.code = passing ? 503 : 403;
  response.reason = passing ? "ServiceUnavailable" : "Forbidden";
  response.message = "the pod must not run without its Go build environment: " + reason;
  audit(response, "result", "denied");
  return response;
}

/// The answer for a pod that an environment applies to.
AdmissionResponse inject(const Review& review, const PodView& pod, Evaluation evaluation) {
  Changes& changes = evaluation.changes;
  std::string patch = render_patch(pod, changes, {});
  if (!patch.empty()) {
    const std::string fault = review.verify(patch);
    if (!fault.empty()) {
      return refuse(evaluation.selection, Outcome::Unreadable, "the patch does not hold: " + fault);
    }
  }
  AdmissionResponse response;
  response.audit_annotations.reserve(3);
  audit(response, "environment", changes.environment);
  audit(response, "revision", changes.revision);
  audit(response, "result",
        !changes.any_container_changed() ? "skipped"
        : patch.empty()                  ? "same"
                                         : "changed");
  if (!changes.any_container_changed()) {
    response.warnings.push_back(as_warning("gobuildenv: no container of this pod is changed: " +
                                           changes.skipped_annotation));
  }
  response.patch = std::move(patch);
  for (std::string& warning : changes.warnings) {
    if (response.warnings.size() < kMaxWarnings) response.warnings.push_back(std::move(warning));
  }
  return response;
}

}  // namespace

Selection select(const PodView& pod, std::string_view ns, const EnvironmentLookup& lookup,
                 const PodWebhookOptions& options) {
  const auto asked = PodView::get(pod.labels, goenv::kEnvLabel);
  if (std::find(options.excluded_namespaces.begin(), options.excluded_namespaces.end(), ns) !=
      options.excluded_namespaces.end()) {
    return asked ? excluded("namespace " + std::string(ns) + " is excluded")
                 : Selection{Outcome::Excluded, nullptr, {}, {}, false, false};
  }
  if (PodView::get(pod.annotations, "kubernetes.io/config.mirror")) return excluded({});
  const NamespaceInjection injection = lookup.injection(ns);
  if (injection == NamespaceInjection::Disabled) {
    return asked ? excluded("namespace " + std::string(ns) + " says " +
                            std::string(goenv::kInjectionLabel) + ": disabled")
                 : Selection{Outcome::Excluded, nullptr, {}, {}, false, false};
  }
  if (const std::string_view own = own_pod_of_system(pod.labels); !own.empty()) {
    return excluded(asked ? std::string(own) : std::string{});
  }
  Selection selection;
  if (asked) {
    selection = select_by_label(*asked, ns, lookup);
  } else if (injection == NamespaceInjection::Enabled ||
             injection == NamespaceInjection::Enforced) {
    selection = select_by_selector(pod, ns, lookup);
  }
  const bool required = PodView::get(pod.labels, goenv::kRequiredLabel) == "true";
  selection.must = required || (asked && injection == NamespaceInjection::Enforced);
  if (required && selection.outcome == Outcome::NotAsked) {
    selection.outcome = Outcome::Missing;
    selection.reason = "label " + std::string(goenv::kEnvLabel) + " names none and none selects it";
  }
  return selection;
}

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::NotAsked:
      return "not-asked";
    case Outcome::Excluded:
      return "excluded";
    case Outcome::Missing:
      return "missing";
    case Outcome::NotServed:
      return "not-served";
    case Outcome::Unavailable:
      return "unavailable";
    case Outcome::Conflict:
      return "conflict";
    case Outcome::Unreadable:
      return "unreadable";
    case Outcome::Windows:
      return "windows";
    case Outcome::Selected:
      return "selected";
  }
  return "unknown";
}

Evaluation evaluate(const PodView& pod, std::string_view ns, const EnvironmentLookup& lookup,
                    const PodWebhookOptions& options) {
  Evaluation evaluation;
  evaluation.selection = select(pod, ns, lookup, options);
  Selection& selection = evaluation.selection;
  if (selection.outcome != Outcome::Selected) return evaluation;
  if (pod.os == "windows") {
    selection.outcome = Outcome::Windows;
    selection.reason = "environments are for Linux, this is a Windows pod";
    return evaluation;
  }
  const ServedEnvironment& environment = *selection.environment;
  const PreparedRevision& prepared = environment.prepared();
  if (!prepared.error().empty()) {
    selection.outcome = Outcome::Unreadable;
    selection.reason = "revision " + environment.revision + ": " + prepared.error();
    return evaluation;
  }
  evaluation.plan = &prepared.plan();
  evaluation.changes = decide_changes(pod, prepared.with_csi(lookup.csi_available()));
  return evaluation;
}

AdmissionResponse decide(const Review& review, const EnvironmentLookup& lookup,
                         const PodWebhookOptions& options) {
  AdmissionResponse response;
  const bool pod_creation = review.operation() == "CREATE" && review.resource() == "pods" &&
                            review.group().empty() && review.sub_resource().empty();
  if (!pod_creation || !review.has_object()) return response;

  const PodView pod = review.pod();
  Evaluation evaluation = evaluate(pod, review.ns(), lookup, options);
  const Selection& selection = evaluation.selection;
  switch (selection.outcome) {
    case Outcome::Selected:
      return inject(review, pod, std::move(evaluation));
    case Outcome::NotAsked:
    case Outcome::Excluded:
    case Outcome::Windows:
      // Not a failure to serve it: required and enforced have no say here.
      audit(response, "environment", selection.name);
      audit(response, "result", to_string(selection.outcome));
      if (!selection.reason.empty()) {
        response.warnings.push_back(as_warning("gobuildenv: pod unchanged: " + selection.reason));
      }
      return response;
    default:
      return refuse(selection, selection.outcome, selection.reason);
  }
}

}  // namespace gobuildenv::webhooks
