#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controllers/gobuildenv/records.hpp"
#include "kube/informer.hpp"

/// The shared caches and their indexes.
namespace gobuildenv::controllers {

/// Name of the index of pods by environment_index_key().
inline constexpr std::string_view kEnvironmentIndex = "environment";

/// "<namespace>/<environment>".
std::string environment_index_key(std::string_view ns, std::string_view environment);

/// Unfinished pods.
kube::Index<PodRecord> pod_index();
/// By a bucket of environments: an index entry for each of 10,000 would cost as much as the record.
kube::Index<ConfigMapRecord> config_map_index();

struct Caches {
  kube::Informer<EnvironmentRecord>& environments;
  kube::Informer<ConfigMapRecord>& config_maps;
  kube::Informer<PodRecord>& pods;  ///< that asked: with the label gobuildenv.dev/env
  /// That were chosen by podSelector: with the revision's label and without the other.
  kube::Informer<PodRecord>& chosen_pods;
};

/// The unfinished pods of an environment: of those that asked and those it chose.
std::vector<std::shared_ptr<const PodRecord>> pods_of(const Caches& caches,
                                                      const kube::ObjectKey& environment);

/// From whichever cache has it; no pod has the labels of both.
std::optional<kube::Decoded<PodRecord>> find_pod(const Caches& caches, const kube::ObjectKey& pod);

/// Whether a pod has not started and never will: the files of the revision it got are gone, and
/// will not come back. Those of the current revision do, and what an environment serves that has
/// just been made is not known yet. All caches have synced.
bool waits_in_vain(const Caches& caches, const std::string& ns, const PodRecord& pod);

/// The ConfigMaps in the cache that belong to an environment by label and name, ordered by name.
std::vector<kube::Decoded<ConfigMapRecord>> config_maps_of(
    const kube::Informer<ConfigMapRecord>& config_maps, const kube::ObjectKey& environment);

}  // namespace gobuildenv::controllers
