#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controllers/gobuildenv/decide.hpp"

/// spec.export.configMapName: the served revision's variables as a plain ConfigMap, for pods that
/// take them by `envFrom` where no webhook may run. Created, never adopted.
namespace gobuildenv::controllers {

struct Export {
  bool wanted = false;
  bool condition_known = false;  ///< false: nothing can be said yet, the condition stays
  std::optional<CreateConfigMap> create;
  std::vector<DeleteConfigMap> deletes;  ///< exports of ours under names no longer wanted
  std::string blocked_by;                ///< why the wanted name cannot be used, for people
};

/// The variables of a revision's pod.json that mean something where nothing is mounted: those that
/// point into our mounts are left out. Empty when pod.json cannot be read.
std::map<std::string, std::string> exported_variables(std::string_view pod_json);

/// What is to be done about the export while revision `current` with that pod.json serves.
Export decide_export(const EnvironmentFacts& facts, const std::string& current,
                     std::string_view pod_json, const goenv::Sha256Hex& sha256);

}  // namespace gobuildenv::controllers
