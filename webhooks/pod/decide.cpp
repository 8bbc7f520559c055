#include "webhooks/pod/decide.hpp"

#include "goenv/names.hpp"
#include "webhooks/pod/changes.hpp"
#include "webhooks/pod/patch.hpp"
#include "webhooks/pod/prepared.hpp"
#include "webhooks/pod/volumes.hpp"

namespace gobuildenv::webhooks {
namespace {

/// The API server cuts all warnings together at 4096 bytes.
constexpr std::size_t kMaxWarnings = 12;

void audit(AdmissionResponse& response, std::string_view key, std::string_view value) {
  if (!value.empty()) response.audit_annotations.emplace_back(key, value);
}

/// The answer for a pod that asked and cannot be served.
AdmissionResponse refuse(const Selection& selection, Outcome outcome, const std::string& reason) {
  AdmissionResponse response;
  audit(response, "environment", selection.name);
  if (!selection.must) {
    // Which of the webhooks it called, the API server knows from the label we cannot read.
    response.unanswered = selection.enforced_unknown;
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
  const CsiDriver driver = lookup.csi_driver();
  if (driver == CsiDriver::Unknown && wants_toolchain_volume(prepared.plan())) {
    // Changed without its toolchain it would build with another one. The namespace has been read,
    // so whether the pod may run unchanged is known here, unlike where that is what is missing.
    selection.outcome = Outcome::Unavailable;
    selection.reason = "CSIDriver " + std::string(goenv::kCsiDriver) + std::string(kNotNow);
    return evaluation;
  }
  evaluation.plan = &prepared.plan();
  evaluation.changes = decide_changes(pod, prepared.with_csi(driver == CsiDriver::Registered));
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
