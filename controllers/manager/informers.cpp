#include "controllers/manager/informers.hpp"

#include <string>
#include <utility>

#include "controllers/serving/lookup.hpp"
#include "goenv/names.hpp"

namespace gobuildenv::controllers {
namespace {

kube::InformerOptions watch(const kube::ResourceType& type, std::string ns = {}) {
  kube::InformerOptions options;
  options.type = type;
  options.ns = std::move(ns);
  return options;
}

kube::InformerOptions watch_one(const kube::ResourceType& type, const std::string& ns,
                                const std::string& name) {
  kube::InformerOptions options = watch(type, ns);
  options.field_selector = "metadata.name=" + name;
  return options;
}

kube::InformerOptions watch_labelled(const kube::ResourceType& type, std::string ns,
                                     std::string selector) {
  kube::InformerOptions options = watch(type, std::move(ns));
  options.label_selector = std::move(selector);
  return options;
}

kube::InformerOptions named(kube::InformerOptions options, std::string name) {
  options.name = std::move(name);
  return options;
}

/// 10,000 of them take a second to list. Pages, as the API server encodes a list in half the time
/// of as many events; and the watch at once, as a new object must not wait for the old ones.
kube::InformerOptions long_list(kube::InformerOptions options) {
  options.watch.streaming_list = false;
  options.watch.newest_first_list = true;
  options.watch.page_size = 1000;
  options.watch_while_listing = true;
  return options;
}

kube::InformerOptions metadata_of(kube::InformerOptions options) {
  options.metadata_only = true;
  return options;
}

}  // namespace

CertificateInformers::CertificateInformers(const ManagerOptions& options,
                                           const kube::InformerRuntime& runtime)
    : key{options.own_namespace, options.secret_name},
      secret(runtime, watch_one(kSecretType, key.ns, key.name), decode_secret),
      mutating(runtime, watch_one(kMutatingWebhookType, {}, options.mutating_configuration),
               decode_webhook_configuration),
      validating(runtime, watch_one(kValidatingWebhookType, {}, options.validating_configuration),
                 decode_webhook_configuration) {}

ManagerInformers::ManagerInformers(const ManagerOptions& options,
                                   const kube::InformerRuntime& runtime)
    : environments(runtime, long_list(watch(kGoBuildEnvType, options.watch_namespace)),
                   decode_environment, {selecting_index()}),
      config_maps(
          runtime,
          metadata_of(watch_labelled(kConfigMapType, options.watch_namespace,
                                     std::string(kManagedByLabel) + "=" + std::string(kManagedBy))),
          decode_config_map, {config_map_index()}),
      pods(runtime,
           watch_labelled(kPodType, options.watch_namespace, std::string(goenv::kEnvLabel)),
           decode_pod, {pod_index()}),
      chosen_pods(runtime,
                  named(watch_labelled(kPodType, options.watch_namespace,
                                       std::string(goenv::kRevisionLabel) + ",!" +
                                           std::string(goenv::kEnvLabel)),
                        "pods-chosen"),
                  decode_pod, {pod_index()}),
      namespaces(
          runtime,
          metadata_of(watch_labelled(kNamespaceType, {}, std::string(goenv::kInjectionLabel))),
          decode_namespace),
      csi_drivers(runtime,
                  metadata_of(watch_one(kCsiDriverType, {}, std::string(goenv::kCsiDriver))),
                  decode_csi_driver),
      own_certificate(options.certificates == CertificateMode::SelfManaged) {
  if (options.certificates != CertificateMode::Files) certificates.emplace(options, runtime);
}

bool ManagerInformers::synced() {
  bool complete = true;
  each([&](auto& informer) { complete = complete && informer.has_synced(); });
  return complete;
}

}  // namespace gobuildenv::controllers
