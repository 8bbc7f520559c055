#include "controllers/gobuildenv/caches.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "goenv/revision.hpp"

namespace gobuildenv::controllers {

std::string environment_index_key(std::string_view ns, std::string_view environment) {
  std::string out;
  out.reserve(ns.size() + 1 + environment.size());
  out.append(ns).append("/").append(environment);
  return out;
}

namespace {

constexpr std::uint64_t kBuckets = 2048;
constexpr const char* kBucketIndex = "bucket";

std::string bucket(std::uint64_t environment_hash) {
  return std::to_string(environment_hash % kBuckets);
}

}  // namespace

kube::Index<ConfigMapRecord> config_map_index() {
  return {kBucketIndex, [](const kube::ObjectKey&, const ConfigMapRecord& record) {
            return std::vector{bucket(record.environment)};
          }};
}

std::vector<kube::Decoded<ConfigMapRecord>> config_maps_of(
    const kube::Informer<ConfigMapRecord>& config_maps, const kube::ObjectKey& environment) {
  std::vector<kube::Decoded<ConfigMapRecord>> out;
  const std::uint64_t hash = environment_hash(environment.name);
  for (const auto& record : config_maps.by_index(kBucketIndex, bucket(hash))) {
    if (record->environment != hash) continue;
    const std::string name = record->is_export
                                 ? record->rare().export_name
                                 : goenv::config_map_name(environment.name, record->hash);
    // The same environment name in another namespace has the same hash: the key decides.
    auto item = config_maps.find({environment.ns, name});
    if (item && item->value == record) out.push_back(std::move(*item));
  }
  std::sort(out.begin(), out.end(),
            [](const auto& a, const auto& b) { return a.meta.key.name < b.meta.key.name; });
  return out;
}

kube::Index<PodRecord> pod_index() {
  return {std::string(kEnvironmentIndex), [](const kube::ObjectKey& key, const PodRecord& record) {
            // What is finished uses nothing and is not counted.
            if (record.finished || record.environment->empty()) return std::vector<std::string>{};
            return std::vector{environment_index_key(key.ns, *record.environment)};
          }};
}

std::vector<std::shared_ptr<const PodRecord>> pods_of(const Caches& caches,
                                                      const kube::ObjectKey& environment) {
  const std::string key = environment_index_key(environment.ns, environment.name);
  auto out = caches.pods.by_index(kEnvironmentIndex, key);
  auto chosen = caches.chosen_pods.by_index(kEnvironmentIndex, key);
  out.insert(out.end(), std::make_move_iterator(chosen.begin()),
             std::make_move_iterator(chosen.end()));
  return out;
}

bool waits_in_vain(const Caches& caches, const std::string& ns, const PodRecord& pod) {
  if (!pod.pending || !pod.revision || pod.environment->empty()) return false;
  const auto environment = caches.environments.get({ns, *pod.environment});
  if (!environment) return true;
  if (environment->current.empty() || environment->current == *pod.revision) return false;
  return !caches.config_maps.get({ns, goenv::config_map_name(*pod.environment, *pod.revision)});
}

std::optional<kube::Decoded<PodRecord>> find_pod(const Caches& caches, const kube::ObjectKey& pod) {
  auto found = caches.pods.find(pod);
  return found ? std::move(found) : caches.chosen_pods.find(pod);
}

}  // namespace gobuildenv::controllers
