#include "webhooks/pod/changes.hpp"

#include <algorithm>
#include <charconv>

#include "goenv/names.hpp"
#include "webhooks/pod/ci_systems.hpp"
#include "webhooks/pod/container_rules.hpp"
#include "webhooks/pod/json_text.hpp"
#include "webhooks/pod/mounts.hpp"
#include "webhooks/pod/prepared.hpp"
#include "webhooks/pod/volumes.hpp"

namespace gobuildenv::webhooks {
namespace {

constexpr std::string_view kKeep = "GOBUILDENV_KEEP";
constexpr std::size_t kMaxWarning = 120;

bool in_list(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    if (list.substr(0, end) == name) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

void append_to_list(std::string& list, std::string_view item) {
  if (!list.empty()) list += ',';
  list += item;
}

/// What an earlier admission of this pod left behind.
struct Before {
  bool stale = false;  ///< same environment, another revision: values of ours are out of date
  std::string_view containers;
};

Before read_before(const PodView& pod, const InjectionInput& input) {
  const auto annotation = [&pod](std::string_view key) {
    return PodView::get(pod.annotations, key).value_or(std::string_view{});
  };
  Before before;
  const std::string_view revision = annotation(goenv::kRevisionAnnotation);
  if (annotation(goenv::kEnvironmentAnnotation) == input.environment && !revision.empty()) {
    before.stale = revision != input.revision;
    before.containers = annotation(goenv::kContainersAnnotation);
  }
  return before;
}

/// GOTOOLCHAIN selects a toolchain from 1.21 on; older versions cannot be asked for by name.
bool selectable_by_name(std::string_view toolchain) {
  if (toolchain.substr(0, 2) != "1.") return !toolchain.empty();
  int minor = 0;
  std::from_chars(toolchain.data() + 2, toolchain.data() + toolchain.size(), minor);
  return minor >= 21;
}

/// Decides one variable against a container's entries of that name (the last one counts for the
/// kubelet; under Enforce every one is ours).
void decide_variable(const ContainerView& container, std::string_view name, std::string_view value,
                     std::string_view json, bool ours, std::vector<VariableDecision>& out) {
  bool found = false;
  for (std::size_t i = container.env.size(); i-- > 0;) {
    const EnvEntry& entry = container.env[i];
    if (entry.name != name) continue;
    VariableDecision decision{name, value, json, VariableOutcome::Same, i, entry.value_from};
    if (entry.value_from || entry.value != value) {
      decision.outcome = ours ? VariableOutcome::Replaced : VariableOutcome::ContainerWins;
    }
    if (!found || ours) out.push_back(decision);
    found = true;
  }
  if (!found) out.push_back({name, value, json, VariableOutcome::Added, 0, false});
}

/// Whether a launcher stands before some `go` of the container.
bool has_launcher(const ContainerDecision& decision) {
  return std::any_of(decision.mounts.begin(), decision.mounts.end(), [](const auto& mount) {
    return mount.sub_path == "go" && mount.outcome != MountOutcome::Skipped;
  });
}

void decide_env(const Before& before, const PreparedPlan& prepared, ContainerDecision& decision,
                std::vector<std::string>& warnings) {
  const InjectionInput& input = prepared.input;
  const ContainerView& container = *decision.container;
  const bool enforce = input.plan.enforcement == goenv::Enforcement::Enforce;
  const bool stale = before.stale && in_list(before.containers, container.name);
  std::string_view kept_before;
  bool has_keep = false;
  for (const EnvEntry& entry : container.env) {
    if (entry.name != kKeep) continue;
    has_keep = true;
    kept_before = entry.value;
  }

  decision.variables.reserve(input.plan.env.size() + input.plan.launcher_env.size() + 1);
  std::string& keep = decision.keep;
  std::string replaced;
  const auto decide_one = [&](std::string_view name, std::string_view value,
                              std::string_view json) {
    const bool ours = enforce || (stale && !in_list(kept_before, name));
    decide_variable(container, name, value, json, ours, decision.variables);
    const VariableDecision& last = decision.variables.back();
    if (last.outcome == VariableOutcome::ContainerWins) append_to_list(keep, name);
    if (last.outcome == VariableOutcome::Replaced && !stale) append_to_list(replaced, name);
  };
  for (std::size_t i = 0; i < input.plan.env.size(); ++i) {
    decide_one(input.plan.env[i].name, input.plan.env[i].value, prepared.env[i]);
  }
  const bool launcher = has_launcher(decision);
  for (std::size_t i = 0; i < input.plan.launcher_env.size(); ++i) {
    const auto& [name, value] = input.plan.launcher_env[i];
    if (!launcher && value) {
      decide_one(name, *value, prepared.launcher_env[i]);
      continue;
    }
    // The launcher sets it; there too the container's own counts.
    const bool declared =
        std::any_of(container.env.begin(), container.env.end(),
                    [&name = name](const EnvEntry& entry) { return entry.name == name; });
    if (declared && !enforce) append_to_list(keep, name);
  }
  if (!keep.empty() || has_keep) {
    decide_variable(container, kKeep, keep, {}, true, decision.variables);
  }
  if (!keep.empty()) {
    warnings.push_back(as_warning("container " + std::string(container.name) + " keeps its own " +
                                  keep + " (enforcement Prefer)"));
  }
  if (!replaced.empty()) {
    warnings.push_back(as_warning("container " + std::string(container.name) + ": " + replaced +
                                  " replaced (enforcement Enforce)"));
  }
  if (container.env_from) {
    decision.notes.emplace_back(
        "envFrom cannot be seen at admission; the environment's explicit values beat it");
    warnings.push_back(as_warning("container " + std::string(container.name) +
                                  ": values from envFrom yield to the environment's"));
  }
}

/// What the API server would have defaulted imagePullPolicy to for `image`.
std::string_view default_pull_policy(std::string_view image) {
  if (image.find('@') != std::string_view::npos) return "IfNotPresent";
  const std::string_view last = image.substr(image.rfind('/') + 1);
  const std::size_t colon = last.find(':');
  const bool latest = colon == std::string_view::npos || last.substr(colon + 1) == "latest";
  return latest ? "Always" : "IfNotPresent";
}

void decide_image(const InjectionInput& input, ContainerDecision& decision,
                  std::vector<std::string>& warnings) {
  const ContainerView& container = *decision.container;
  if (container.image != goenv::kPlaceholderImage) return;
  if (input.plan.conda_base_image.empty()) {
    warnings.push_back(as_warning("container " + std::string(container.name) +
                                  " has the placeholder image, but environment " +
                                  std::string(input.environment) + " sets no conda.baseImage"));
    return;
  }
  decision.image = input.plan.conda_base_image;
  // The placeholder's tag made the API server say IfNotPresent; anything else was somebody's wish.
  const std::string_view policy = default_pull_policy(decision.image);
  if (container.pull_policy == "IfNotPresent" && policy != container.pull_policy) {
    decision.pull_policy = policy;
  }
}

const WantedVolume& wanted_volume(const PreparedPlan& prepared, std::string_view name) {
  return *std::find_if(prepared.volumes.begin(), prepared.volumes.end(),
                       [name](const WantedVolume& candidate) { return candidate.name == name; });
}

/// No volume differs by both the group and the user namespace of its pod.
std::string_view json_for(const PodView& pod, const WantedVolume& wanted) {
  if (pod.fs_group && !wanted.json_with_fs_group.empty()) return wanted.json_with_fs_group;
  if (pod.user_namespace && !wanted.json_in_user_namespace.empty()) {
    return wanted.json_in_user_namespace;
  }
  return wanted.json;
}

void decide_volumes(const PodView& pod, const PreparedPlan& prepared, Changes& changes) {
  changes.volumes.reserve(prepared.volumes.size());
  const auto want = [&](std::string_view name) {
    for (const VolumeDecision& known : changes.volumes) {
      if (known.name == name) return;
    }
    VolumeDecision volume{name, json_for(pod, wanted_volume(prepared, name)),
                          VolumeDecision::Outcome::Added, 0};
    for (std::size_t i = 0; i < pod.volumes.size(); ++i) {
      if (pod.volumes[i].name != name) continue;
      volume.index = i;
      volume.outcome = volume_satisfies(pod.volumes[i].json, volume.json)
                           ? VolumeDecision::Outcome::Same
                           : VolumeDecision::Outcome::Replaced;
      break;
    }
    changes.volumes.push_back(volume);
  };
  for (const ContainerDecision& container : changes.containers) {
    for (const MountDecision& mount : container.mounts) {
      if (mount.outcome != MountOutcome::Skipped) want(mount.volume);
    }
  }
}

void write_annotations(const InjectionInput& input, Changes& changes) {
  changes.environment = input.environment;
  std::string skipped = "{";
  for (const ContainerDecision& decision : changes.containers) {
    if (decision.action == ContainerAction::Changed) {
      append_to_list(changes.containers_annotation, decision.container->name);
    }
    if (!decision.reason.empty() && !decision.container->name.empty()) {
      append_member(skipped, decision.container->name, decision.reason);
    }
  }
  if (skipped.size() > 1) changes.skipped_annotation = skipped + "}";
  if (!changes.containers_annotation.empty()) changes.revision = input.revision;
}

void note_toolchain(const InjectionInput& input, Changes& changes) {
  if (input.plan.delivery != goenv::Delivery::Volume || mounts_toolchain(input)) return;
  const std::string version = "go" + input.plan.toolchain;
  std::string text = "no CSI driver " + std::string(goenv::kCsiDriver) + ": " + version;
  text += selectable_by_name(input.plan.toolchain)
              ? " is not mounted, the image's go (1.21+) downloads it"
              : " is not mounted, the image's own go is used";
  changes.warnings.push_back(as_warning(text));
  for (ContainerDecision& decision : changes.containers) {
    if (decision.action != ContainerAction::Changed) continue;
    if (!decision.reason.empty()) decision.reason += "; ";
    decision.reason += "toolchain: " + text;
  }
}

void note_user_namespace(const PodView& pod, const PreparedPlan& prepared, Changes& changes) {
  if (!pod.user_namespace) return;
  bool any = false;
  for (ContainerDecision& decision : changes.containers) {
    std::string paths;
    for (const MountDecision& mount : decision.mounts) {
      if (mount.outcome == MountOutcome::Skipped) continue;
      if (wanted_volume(prepared, mount.volume).json_in_user_namespace.empty()) continue;
      append_to_list(paths, mount.path);
    }
    if (paths.empty()) continue;
    any = true;
    if (!decision.reason.empty()) decision.reason += "; ";
    decision.reason += paths + ": not shared, the pod has hostUsers: false";
  }
  if (any) {
    changes.warnings.push_back(
        as_warning("hostUsers: false: the pod gets caches of its own, as shared ones cannot be "
                   "mounted into a user namespace"));
  }
}

}  // namespace

bool ContainerDecision::touches() const {
  if (!image.empty() || !pull_policy.empty()) return true;
  const auto changes_variable = [](const VariableDecision& variable) {
    return variable.outcome == VariableOutcome::Added ||
           variable.outcome == VariableOutcome::Replaced;
  };
  const auto changes_mount = [](const MountDecision& mount) {
    return mount.outcome == MountOutcome::Added || mount.outcome == MountOutcome::Replaced;
  };
  return std::any_of(variables.begin(), variables.end(), changes_variable) ||
         std::any_of(mounts.begin(), mounts.end(), changes_mount);
}

std::string as_warning(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  if (text.size() <= kMaxWarning) return text;
  std::size_t end = kMaxWarning - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  text.resize(end);
  return text + "...";
}

Changes decide_changes(const PodView& pod, const PreparedPlan& prepared) {
  const InjectionInput& input = prepared.input;
  Changes changes;
  changes.containers.reserve(pod.containers.size());
  const CiSystem* system = recognise(pod.labels);
  const Before before = read_before(pod, input);
  for (const ContainerView& container : pod.containers) {
    ContainerDecision& decision = changes.containers.emplace_back();
    decision.container = &container;
    decision.reason = reason_to_skip(container, system, input.plan);
    if (decision.reason.empty()) decision.reason = decide_mounts(pod, prepared.mounts, decision);
    if (decision.reason.empty()) {
      decision.action = ContainerAction::Changed;
      decide_env(before, prepared, decision, changes.warnings);
      decision.reason = describe_skipped(decision.mounts);
    } else {
      decision.mounts.clear();
    }
    decide_image(input, decision, changes.warnings);
  }
  note_toolchain(input, changes);
  note_user_namespace(pod, prepared, changes);
  decide_volumes(pod, prepared, changes);
  write_annotations(input, changes);
  return changes;
}

}  // namespace gobuildenv::webhooks
