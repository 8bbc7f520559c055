#include "controllers/gobuildenv/caches.hpp"

namespace gobuildenv::controllers {

std::string environment_index_key(std::string_view ns, std::string_view environment) {
  std::string out;
  out.reserve(ns.size() + 1 + environment.size());
  out.append(ns).append("/").append(environment);
  return out;
}

kube::Index<ConfigMapRecord> config_map_index() {
  return {std::string(kEnvironmentIndex),
          [](const kube::ObjectKey& key, const ConfigMapRecord& record) {
            return std::vector{environment_index_key(key.ns, record.environment)};
          }};
}

kube::Index<PodRecord> pod_index() {
  return {std::string(kEnvironmentIndex), [](const kube::ObjectKey& key, const PodRecord& record) {
            // What is finished uses nothing and is not counted.
            if (record.finished) return std::vector<std::string>{};
            return std::vector{environment_index_key(key.ns, *record.environment)};
          }};
}

}  // namespace gobuildenv::controllers
