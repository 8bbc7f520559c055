#include "webhooks/pod/select.hpp"

#include <algorithm>
#include <utility>

#include "goenv/names.hpp"
#include "webhooks/pod/ci_systems.hpp"

namespace gobuildenv::webhooks {
namespace {

Selection left(Outcome outcome, std::string_view name, std::string reason) {
  Selection selection;
  selection.outcome = outcome;
  selection.name = name;
  selection.reason = std::move(reason);
  return selection;
}

Selection excluded(std::string reason) { return left(Outcome::Excluded, {}, std::move(reason)); }

Selection unavailable(std::string_view name, std::string reason) {
  return left(Outcome::Unavailable, name, std::move(reason.append(kNotNow)));
}

std::string in_namespace(std::string_view name, std::string_view ns) {
  return "GoBuildEnv " + std::string(name) + " in namespace " + std::string(ns);
}

Selection select_by_label(std::string_view name, std::string_view ns,
                          const EnvironmentLookup& lookup) {
  EnvironmentLookup::Answer answer = lookup.find(ns, name);
  switch (answer.found) {
    case EnvironmentLookup::Found::Yes:
      if (answer.environment && answer.environment->pod_json) {
        Selection selection = left(Outcome::Selected, name, {});
        selection.environment = std::move(answer.environment);
        return selection;
      }
      [[fallthrough]];
    case EnvironmentLookup::Found::NotServed:
      return left(Outcome::NotServed, name, in_namespace(name, ns) + " has no revision yet");
    case EnvironmentLookup::Found::No:
      return left(Outcome::Missing, name, "there is no " + in_namespace(name, ns));
    case EnvironmentLookup::Found::Unknown:
      break;
  }
  return unavailable(name, in_namespace(name, ns));
}

Selection conflict(const EnvironmentLookup::Candidates& candidates) {
  std::vector<std::string_view> names(candidates.unknown.begin(), candidates.unknown.end());
  for (const auto& environment : candidates.environments) names.push_back(environment->name);
  std::sort(names.begin(), names.end());
  std::string reason = "GoBuildEnvs ";
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i != 0) reason += i + 1 == names.size() ? " and " : ", ";
    reason += names[i];
  }
  reason += " all select this pod; label it " + std::string(goenv::kEnvLabel);
  return left(Outcome::Conflict, {}, std::move(reason));
}

Selection select_by_selector(const PodView& pod, std::string_view ns,
                             const EnvironmentLookup& lookup) {
  Labels labels;
  for (const auto& [key, value] : pod.labels) labels.emplace(key, value);
  const auto candidates = lookup.selecting(ns, labels);
  const std::size_t count = candidates.environments.size() + candidates.unknown.size();
  if (count > 1) return conflict(candidates);
  if (!candidates.complete) {
    return unavailable({}, "what selects pods of namespace " + std::string(ns));
  }
  if (count == 0) return {};
  if (!candidates.unknown.empty()) {
    const std::string& name = candidates.unknown.front();
    return unavailable(name, in_namespace(name, ns));
  }
  Selection selection = left(Outcome::Selected, candidates.environments.front()->name, {});
  selection.by_selector = true;
  selection.environment = candidates.environments.front();
  return selection;
}

}  // namespace

Selection select(const PodView& pod, std::string_view ns, const EnvironmentLookup& lookup,
                 const PodWebhookOptions& options) {
  const auto asked = PodView::get(pod.labels, goenv::kEnvLabel);
  if (std::find(options.excluded_namespaces.begin(), options.excluded_namespaces.end(), ns) !=
      options.excluded_namespaces.end()) {
    return excluded(asked ? "namespace " + std::string(ns) + " is excluded" : std::string{});
  }
  if (PodView::get(pod.annotations, "kubernetes.io/config.mirror")) return excluded({});
  const NamespaceInjection injection = lookup.injection(ns);
  if (injection == NamespaceInjection::Disabled) {
    return excluded(asked ? "namespace " + std::string(ns) + " says " +
                                std::string(goenv::kInjectionLabel) + ": disabled"
                          : std::string{});
  }
  if (const std::string_view own = own_pod_of_system(pod.labels); !own.empty()) {
    return excluded(asked ? std::string(own) : std::string{});
  }
  const bool required = PodView::get(pod.labels, goenv::kRequiredLabel) == "true";
  const bool unknown = injection == NamespaceInjection::Unknown;
  Selection selection;
  if (asked && !unknown) {
    selection = select_by_label(*asked, ns, lookup);
  } else if (!asked && injection != NamespaceInjection::Unset) {
    selection = select_by_selector(pod, ns, lookup);
  }
  // Whether anything is done in it is up to the namespace, for every pod that may have asked.
  if (unknown && (asked || required || selection.outcome != Outcome::NotAsked)) {
    selection = unavailable(asked ? *asked : selection.name, "namespace " + std::string(ns));
    selection.enforced_unknown = asked.has_value();
  }
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

}  // namespace gobuildenv::webhooks
