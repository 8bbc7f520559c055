#include "webhooks/pod/explain.hpp"

#include <array>

#include "goenv/names.hpp"
#include "webhooks/pod/patch.hpp"
#include "webhooks/pod/pod_reader.hpp"
#include "webhooks/pod/verify.hpp"

namespace gobuildenv::webhooks {
namespace {

using simdjson::dom::element;

struct BuiltInKind {
  std::string_view group;
  std::string_view kind;
  std::string_view pointer;
};

constexpr std::array<BuiltInKind, 9> kBuiltIn{{
    {"", "Pod", ""},
    {"", "PodTemplate", "/template"},
    {"", "ReplicationController", "/spec/template"},
    {"apps", "Deployment", "/spec/template"},
    {"apps", "ReplicaSet", "/spec/template"},
    {"apps", "StatefulSet", "/spec/template"},
    {"apps", "DaemonSet", "/spec/template"},
    {"batch", "Job", "/spec/template"},
    {"batch", "CronJob", "/spec/jobTemplate/spec/template"},
}};

/// Where kinds of others (an Argo Rollout, a Knative Service) have theirs, if they have one.
constexpr std::string_view kUsualPointer = "/spec/template";

VariableExplanation explain_variable(const VariableDecision& decision,
                                     const ContainerView& container, const goenv::PodPlan& plan) {
  VariableExplanation result;
  result.name = decision.name;
  result.value = decision.value;
  result.outcome = decision.outcome;
  switch (decision.outcome) {
    case VariableOutcome::Added:
      result.why = "not set by the container";
      break;
    case VariableOutcome::Same:
      result.why = "set to this value already";
      break;
    case VariableOutcome::Replaced:
      result.why = plan.enforcement == goenv::Enforcement::Enforce
                       ? "enforcement Enforce replaces the container's own"
                       : "left by an earlier revision or admission";
      break;
    case VariableOutcome::ContainerWins:
      result.value = container.env[decision.index].value;
      result.why = "the container sets it itself and enforcement is Prefer";
      if (decision.value_from) {
        result.value.clear();
        result.why += " (valueFrom)";
      }
      break;
  }
  return result;
}

ContainerExplanation explain_container(const ContainerDecision& decision,
                                       const goenv::PodPlan& plan) {
  const ContainerView& container = *decision.container;
  ContainerExplanation result;
  result.name = container.name;
  result.list = container.list;
  result.follows = decision.action == ContainerAction::Changed;
  result.differs = decision.touches();
  result.reason = decision.reason;
  result.image = decision.image;
  for (const VariableDecision& variable : decision.variables) {
    result.variables.push_back(explain_variable(variable, container, plan));
  }
  for (const MountDecision& mount : decision.mounts) {
    result.mounts.push_back({std::string(mount.path), std::string(mount.volume),
                             std::string(mount.sub_path), mount.outcome, mount.reason});
  }
  result.notes = decision.notes;
  return result;
}

std::string reason_for(const Selection& selection) {
  if (selection.outcome == Outcome::NotAsked) {
    return "no label " + std::string(goenv::kEnvLabel) + " and no podSelector of the namespace";
  }
  if (selection.outcome == Outcome::Excluded && selection.reason.empty()) {
    return "injection leaves this namespace or pod alone";
  }
  if (selection.outcome != Outcome::Selected) return selection.reason;
  return selection.by_selector ? "its podSelector matches the pod's labels"
                               : "named by label " + std::string(goenv::kEnvLabel);
}

Explanation explain(const Evaluation& evaluation) {
  const Selection& selection = evaluation.selection;
  Explanation result;
  result.outcome = selection.outcome;
  result.environment = selection.name;
  result.reason = reason_for(selection);
  if (selection.outcome != Outcome::Selected) {
    result.refused = selection.must && selection.outcome != Outcome::Excluded &&
                     selection.outcome != Outcome::Windows;
    return result;
  }
  result.revision = selection.environment->revision;
  result.config_map = selection.environment->config_map;
  for (const ContainerDecision& container : evaluation.changes.containers) {
    result.containers.push_back(explain_container(container, *evaluation.plan));
  }
  result.warnings = evaluation.changes.warnings;
  return result;
}

}  // namespace

std::optional<std::string_view> pod_template_pointer(std::string_view document) {
  simdjson::dom::parser parser;
  element root;
  if (parser.parse(document.data(), document.size()).get(root) != simdjson::SUCCESS) {
    return std::nullopt;
  }
  std::string_view version;
  std::string_view kind;
  if (root["apiVersion"].get(version) != simdjson::SUCCESS ||
      root["kind"].get(kind) != simdjson::SUCCESS) {
    return std::nullopt;
  }
  const auto slash = version.find('/');
  const auto group = slash == std::string_view::npos ? "" : version.substr(0, slash);
  for (const BuiltInKind& known : kBuiltIn) {
    if (known.group == group && known.kind == kind) return known.pointer;
  }
  simdjson::dom::array containers;
  const std::string path = std::string(kUsualPointer) + "/spec/containers";
  if (root.at_pointer(path).get(containers) != simdjson::SUCCESS) return std::nullopt;
  return kUsualPointer;
}

tl::expected<TemplateInjection, std::string> inject_pod_template(std::string_view document,
                                                                 std::string_view pointer,
                                                                 std::string_view ns,
                                                                 const EnvironmentLookup& lookup,
                                                                 const PodWebhookOptions& options) {
  simdjson::dom::parser parser;
  element root;
  const auto code = parser.parse(document.data(), document.size()).get(root);
  if (code != simdjson::SUCCESS) {
    return tl::unexpected(std::string("not JSON: ") + simdjson::error_message(code));
  }
  element object = root;
  if (!pointer.empty() && root.at_pointer(pointer).get(object) != simdjson::SUCCESS) {
    return tl::unexpected("there is no " + std::string(pointer));
  }
  const PodView pod = read_pod(object);
  if (!pod.has_spec) {
    return tl::unexpected("there is no " + std::string(pointer) + "/spec");
  }
  const Evaluation evaluation = evaluate(pod, ns, lookup, options);
  TemplateInjection result;
  result.explanation = explain(evaluation);
  if (evaluation.selection.outcome != Outcome::Selected) return result;
  result.patch = render_patch(pod, evaluation.changes, pointer);
  if (result.patch.empty()) return result;
  const std::string fault = verify_patch(object, result.patch, pointer);
  if (!fault.empty()) return tl::unexpected("the patch does not hold: " + fault);
  return result;
}

std::string_view to_string(VariableOutcome outcome) {
  switch (outcome) {
    case VariableOutcome::Added:
      return "added";
    case VariableOutcome::Replaced:
      return "replaced";
    case VariableOutcome::Same:
      return "same";
    case VariableOutcome::ContainerWins:
      return "container";
  }
  return "unknown";
}

std::string_view to_string(MountOutcome outcome) {
  switch (outcome) {
    case MountOutcome::Added:
      return "added";
    case MountOutcome::Replaced:
      return "replaced";
    case MountOutcome::Same:
      return "same";
    case MountOutcome::Skipped:
      return "skipped";
  }
  return "unknown";
}

}  // namespace gobuildenv::webhooks
