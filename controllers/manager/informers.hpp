#pragma once

#include <optional>

#include "controllers/certificates/records.hpp"
#include "controllers/gobuildenv/caches.hpp"
#include "controllers/manager.hpp"
#include "controllers/serving/namespaces.hpp"
#include "kube/informer.hpp"

/// Everything that the manager watches.
namespace gobuildenv::controllers {

/// Of the webhook's certificate, where it is in a Secret.
struct CertificateInformers {
  CertificateInformers(const ManagerOptions& options, const kube::InformerRuntime& runtime);

  kube::ObjectKey key;  ///< of the Secret
  kube::Informer<CertificateSecret> secret;
  // Those that we write, hence started only when the certificate is ours:
  kube::Informer<WebhookConfiguration> mutating;
  kube::Informer<WebhookConfiguration> validating;
};

struct ManagerInformers {
  /// What `runtime` refers to outlives it.
  ManagerInformers(const ManagerOptions& options, const kube::InformerRuntime& runtime);

  [[nodiscard]] Caches caches() { return {environments, config_maps, pods, chosen_pods}; }

  /// Calls f(informer) for each that this manager's options want.
  template <class F>
  void each(F&& f) {
    f(environments);
    each_but_environments(f);
  }

  template <class F>
  void each_but_environments(F&& f) {
    f(config_maps);
    f(pods);
    f(chosen_pods);
    f(namespaces);
    f(csi_drivers);
    if (!certificates) return;
    f(certificates->secret);
    if (!own_certificate) return;
    f(certificates->mutating);
    f(certificates->validating);
  }

  [[nodiscard]] bool synced();

  kube::Informer<EnvironmentRecord> environments;
  kube::Informer<ConfigMapRecord> config_maps;
  kube::Informer<PodRecord> pods;         ///< that asked
  kube::Informer<PodRecord> chosen_pods;  ///< that were chosen by podSelector
  kube::Informer<NamespaceRecord> namespaces;
  kube::Informer<CsiDriverRecord> csi_drivers;
  std::optional<CertificateInformers> certificates;
  bool own_certificate;
};

}  // namespace gobuildenv::controllers
