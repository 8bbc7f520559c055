#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controllers/gobuildenv/caches.hpp"
#include "controllers/serving/namespaces.hpp"
#include "controllers/serving/served_cache.hpp"
#include "kube/client.hpp"
#include "kube/informer.hpp"
#include "webhooks/environments.hpp"

namespace gobuildenv::controllers {

/// Name of the index of environments with a podSelector, by namespace.
inline constexpr std::string_view kSelectingIndex = "selecting";
kube::Index<EnvironmentRecord> selecting_index();

/// Answers the pod webhook from the caches: every replica has them, none needs to lead. Only an
/// intact revision that its own GoBuildEnv controls is served. A revision's content is read and
/// verified when the first pod asks for it, and so is whatever the caches do not have (yet), within
/// `live_timeout`: a watch may be behind what its author has seen already.
class ServingLookup final : public webhooks::EnvironmentLookup {
 public:
  struct Sources {
    kube::Client& client;
    kube::Informer<EnvironmentRecord>& environments;
    kube::Informer<ConfigMapRecord>& config_maps;
    kube::Informer<NamespaceRecord>& namespaces;
    kube::Informer<CsiDriverRecord>& csi_drivers;
  };
  /// All sources outlive it. `live_timeout` is for all requests of one find() or selecting()
  /// together. The namespace and the driver are asked for before their first lists only, in a third
  /// of it each: with the default a review takes 1.7 s at most, of the 2 s it has.
  explicit ServingLookup(Sources sources,
                         std::chrono::milliseconds live_timeout = std::chrono::milliseconds(1000));

  Answer find(std::string_view ns, std::string_view name) const override;
  Candidates selecting(std::string_view ns, const webhooks::Labels& labels) const override;
  webhooks::NamespaceInjection injection(std::string_view ns) const override;
  webhooks::CsiDriver csi_driver() const override;

 private:
  /// What served `key` last, when it is made of what the caches hold now; else null.
  std::shared_ptr<const webhooks::ServedEnvironment> served_before(
      const kube::ObjectKey& key) const;
  Answer serve(const kube::Decoded<EnvironmentRecord>& environment, kube::Deadline deadline) const;
  [[nodiscard]] kube::Deadline deadline() const;
  [[nodiscard]] kube::Deadline short_deadline() const;

  Sources sources_;
  mutable ServedCache served_;
  std::chrono::milliseconds live_timeout_;
};

}  // namespace gobuildenv::controllers
