#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "webhooks/pod/decide.hpp"

/// The webhook's decision for people and for offline use: which environment and why, what each
/// container gets, who won each variable. Made from the same Changes as the patch.
namespace gobuildenv::webhooks {

struct VariableExplanation {
  std::string name;
  std::string value;  ///< what the container's processes see; empty when it comes from valueFrom
  VariableOutcome outcome = VariableOutcome::Added;
  std::string why;  ///< one clause
};

struct MountExplanation {
  std::string path;
  std::string volume;
  std::string sub_path;
  MountOutcome outcome = MountOutcome::Added;
  std::string why;  ///< when Skipped
};

struct ContainerExplanation {
  std::string name;
  ContainerList list = ContainerList::Containers;
  bool follows = false;  ///< whether the environment holds in it
  bool differs = false;  ///< whether the patch touches it
  std::string reason;    ///< why it is left alone, or what was left out
  std::string image;     ///< new image, when the placeholder was replaced
  std::vector<VariableExplanation> variables;
  std::vector<MountExplanation> mounts;
  std::vector<std::string> notes;
};

struct Explanation {
  Outcome outcome = Outcome::NotAsked;
  std::string environment;
  std::string revision;
  std::string config_map;
  std::string reason;    ///< a sentence: how the environment was found, or why there is none
  bool refused = false;  ///< the pod would be denied
  std::vector<ContainerExplanation> containers;
  std::vector<std::string> warnings;
};

/// The outcome of injecting into one pod or pod template.
struct TemplateInjection {
  std::string patch;  ///< JSONPatch of the whole document; empty: nothing to change
  Explanation explanation;
};

/// Where the object `document` (JSON text) holds its pod template, as a JSON pointer: as
/// Kubernetes' own kinds do (Pod, Deployment, CronJob, …), for other kinds at /spec/template if
/// containers stand there. nullopt: nowhere.
std::optional<std::string_view> pod_template_pointer(std::string_view document);

/// Decides for the pod or template at `pointer` of `document` (JSON text) as if it were created in
/// namespace `ns`. Error: the document or the pointer is not what it should be, or the patch did
/// not pass its check.
tl::expected<TemplateInjection, std::string> inject_pod_template(std::string_view document,
                                                                 std::string_view pointer,
                                                                 std::string_view ns,
                                                                 const EnvironmentLookup& lookup,
                                                                 const PodWebhookOptions& options);

/// "added", "replaced", "same", "container".
std::string_view to_string(VariableOutcome outcome);
/// "added", "replaced", "same", "skipped".
std::string_view to_string(MountOutcome outcome);

}  // namespace gobuildenv::webhooks
