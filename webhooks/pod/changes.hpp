#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "goenv/pod_plan.hpp"
#include "webhooks/pod/pod_view.hpp"

/// The decision about one pod, before it becomes a patch or an explanation: which containers
/// change, who wins each variable, which mounts are made and which are not, each with the reason.
/// Pure; views point into the pod and the prepared plan, which must outlive the result.
namespace gobuildenv::webhooks {

/// The environment to inject and what is known around it.
struct InjectionInput {
  const goenv::PodPlan& plan;
  std::string_view environment;
  std::string_view revision;
  std::string_view config_map;
  /// Without the CSI driver caches are emptyDirs; a toolchain of `delivery: Volume` is not mounted
  /// but asked of the image's own go.
  bool csi_available = false;
};

enum class VariableOutcome {
  Added,
  Replaced,       ///< the container's entry, at its index
  Same,           ///< already there with this value
  ContainerWins,  ///< Prefer: the container's own entry stays
};

struct VariableDecision {
  std::string_view name;
  std::string_view value;  ///< ours, in the plan or in ContainerDecision::keep
  std::string_view json;   ///< the env entry with our value, made before; empty: not made yet
  VariableOutcome outcome = VariableOutcome::Added;
  std::size_t index = 0;    ///< of the container's entry, unless Added
  bool value_from = false;  ///< the container's entry took its value from elsewhere
};

enum class MountOutcome {
  Added,
  Replaced,  ///< one of ours from an earlier revision, at its index
  Same,
  Skipped,
};

struct MountDecision {
  std::string_view volume;
  std::string_view path;
  std::string_view sub_path;
  std::string_view json;  ///< the whole volumeMount
  MountOutcome outcome = MountOutcome::Added;
  std::size_t index = 0;  ///< of the container's mount when Replaced or Same
  std::string reason;     ///< when Skipped
};

enum class ContainerAction {
  Changed,
  Skipped,  ///< left alone; the placeholder image is replaced all the same
};

struct ContainerDecision {
  const ContainerView* container = nullptr;
  ContainerAction action = ContainerAction::Skipped;
  std::string reason;  ///< why skipped, or what part was left out
  std::vector<VariableDecision> variables;
  std::vector<MountDecision> mounts;
  std::string_view image;          ///< new image, empty: stays
  std::string_view pull_policy;    ///< new imagePullPolicy, empty: stays
  std::vector<std::string> notes;  ///< for explain: envFrom and the like
  std::string keep;                ///< value of GOBUILDENV_KEEP: what the container declared itself

  /// Whether the container's JSON differs afterwards.
  bool touches() const;
};

struct VolumeDecision {
  enum class Outcome { Added, Replaced, Same };
  std::string_view name;
  std::string_view json;  ///< the whole volume
  Outcome outcome = Outcome::Added;
  std::size_t index = 0;  ///< in spec.volumes unless Added
};

struct PreparedPlan;

struct Changes {
  Changes() = default;
  Changes(Changes&&) = default;
  Changes& operator=(Changes&&) = default;

  std::vector<ContainerDecision> containers;  ///< in the order of PodView::containers
  std::vector<VolumeDecision> volumes;
  std::string environment;  ///< wanted annotations and label …
  std::string revision;     ///< … empty when no container is changed
  std::string containers_annotation;
  std::string skipped_annotation;  ///< JSON object, empty when nothing was skipped
  std::vector<std::string> warnings;

  bool any_container_changed() const { return !revision.empty(); }
};

/// Decides for every container of `pod`. Under reinvocation, and on a pod that was changed before,
/// what is already as wanted stays untouched.
Changes decide_changes(const PodView& pod, const PreparedPlan& prepared);

/// Cuts `text` to the 120 characters a warning may have, at a character boundary, and replaces
/// control characters.
std::string as_warning(std::string text);

}  // namespace gobuildenv::webhooks
