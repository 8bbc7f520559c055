#pragma once

#include <string>
#include <string_view>

#include "controllers/gobuildenv/records.hpp"
#include "kube/informer.hpp"

/// The shared caches and their index.
namespace gobuildenv::controllers {

/// Name of the index of ConfigMaps and pods by environment; values are environment_index_key().
inline constexpr std::string_view kEnvironmentIndex = "environment";

/// "<namespace>/<environment>".
std::string environment_index_key(std::string_view ns, std::string_view environment);

kube::Index<ConfigMapRecord> config_map_index();
kube::Index<PodRecord> pod_index();

struct Caches {
  kube::Informer<EnvironmentRecord>& environments;
  kube::Informer<ConfigMapRecord>& config_maps;
  kube::Informer<PodRecord>& pods;
};

}  // namespace gobuildenv::controllers
