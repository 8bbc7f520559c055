#include "webhooks/pod/container_rules.hpp"

#include <algorithm>

#include "webhooks/pod/glob.hpp"

namespace gobuildenv::webhooks {

std::string reason_to_skip(const ContainerView& container, const CiSystem* system,
                           const goenv::PodPlan& plan) {
  if (container.name.empty()) return "has no name";
  if (system != nullptr && glob_match_any(system->helpers, container.name)) {
    return "a container of " + std::string(system->name);
  }
  if (glob_match_any(plan.exclude, container.name)) return "excluded by containers.exclude";
  const bool by_name =
      std::find(plan.include.begin(), plan.include.end(), container.name) != plan.include.end();
  if (system != nullptr && !by_name && glob_match_any(system->on_request, container.name)) {
    return "the agent of " + std::string(system->name) + ", not named in containers.include";
  }
  if (is_injected_helper(container.name) && !by_name) return "a proxy or agent of the cluster";
  const bool included = by_name || glob_match_any(plan.include, container.name);
  if (included) return {};
  if (container.list == ContainerList::InitContainers) {
    return container.native_sidecar ? "sidecar not in containers.include"
                                    : "init container not in containers.include";
  }
  if (!plan.include.empty()) return "not in containers.include";
  if (system != nullptr && !system->builders.empty() &&
      !glob_match_any(system->builders, container.name)) {
    return "not a build container of " + std::string(system->name);
  }
  return {};
}

}  // namespace gobuildenv::webhooks
