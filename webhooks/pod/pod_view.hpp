#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What admission reads of a pod (core/v1 PodTemplateSpec and Pod have the same shape): names and
/// positions, as views into the parsed document. Fields of a wrong type count as absent, so that a
/// strange pod is left alone instead of being an error. `null` counts as absent, as in Kubernetes.
namespace gobuildenv::webhooks {

struct EnvEntry {
  std::string_view name;
  std::string_view value;
  bool value_from = false;
};

struct MountEntry {
  std::string_view volume;
  std::string_view path;
  std::string_view sub_path;
  bool read_only = false;
};

enum class ContainerList { Containers, InitContainers };

struct ContainerView {
  ContainerList list = ContainerList::Containers;
  std::size_t index = 0;  ///< in its list
  std::string_view name;
  std::string_view image;
  std::string_view pull_policy;  ///< empty: absent
  bool native_sidecar = false;   ///< an init container with restartPolicy Always
  bool env_from = false;
  bool has_env = false;     ///< the list exists, be it empty
  bool has_mounts = false;  ///< the same for volumeMounts
  std::vector<EnvEntry> env;
  std::vector<MountEntry> mounts;
};

struct VolumeView {
  std::string_view name;
  /// configMap, secret, projected, downwardAPI, image; others of the pod that say readOnly.
  bool always_read_only = false;
  std::string json;  ///< the volume's text, for volumes whose name is ours only
};

using StringPairs = std::vector<std::pair<std::string_view, std::string_view>>;

struct PodView {
  bool has_metadata = false;
  bool has_labels = false;
  bool has_annotations = false;
  bool has_spec = false;
  bool has_volumes = false;
  StringPairs labels;
  StringPairs annotations;
  std::vector<VolumeView> volumes;
  std::vector<ContainerView> containers;  ///< initContainers first, then containers
  std::string_view os;                    ///< spec.os.name, else nodeSelector kubernetes.io/os
  std::optional<std::int64_t> fs_group;
  bool user_namespace = false;  ///< spec.hostUsers is false

  /// The value of a label or annotation, nullopt when absent.
  static std::optional<std::string_view> get(const StringPairs& pairs, std::string_view key) {
    for (const auto& [name, value] : pairs) {
      if (name == key) return value;
    }
    return std::nullopt;
  }
};

}  // namespace gobuildenv::webhooks
