#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kube/client.hpp"
#include "kube/decoded.hpp"
#include "webhooks/certificates/rotation.hpp"

/// What the caches keep of the certificate Secret and of the webhook configurations: one object
/// each, selected by name.
namespace gobuildenv::controllers {

extern const kube::ResourceType kSecretType;
extern const kube::ResourceType kMutatingWebhookType;
extern const kube::ResourceType kValidatingWebhookType;

struct CertificateSecret {
  webhooks::certificates::Stored stored;
  bool managed = false;  ///< label app.kubernetes.io/managed-by is ours
  /// Holds a certificate that we did not make, such as cert-manager's: never to be overwritten.
  [[nodiscard]] bool foreign() const {
    return !managed && !stored.leaf.empty() && stored.ca.private_key.empty();
  }
};

struct WebhookConfiguration {
  struct Hook {
    std::string name;
    std::string ca_bundle;  ///< PEM, empty when there is none
  };
  std::vector<Hook> hooks;
};

tl::expected<kube::Decoded<CertificateSecret>, std::string> decode_secret(std::string_view json);
tl::expected<kube::Decoded<WebhookConfiguration>, std::string> decode_webhook_configuration(
    std::string_view json);

/// The body for a create of the Secret.
std::string encode_secret(const kube::ObjectKey& key, const webhooks::certificates::Stored& stored);
/// The body of a merge patch from `before` to `after`, with uid and resourceVersion as
/// preconditions: type and labels, which a chart may have chosen, stay.
std::string encode_secret_patch(const kube::ObjectMeta& meta,
                                const webhooks::certificates::Stored& before,
                                const webhooks::certificates::Stored& after);
/// The body of a server-side apply that owns nothing but caBundle of the hooks. It carries the uid,
/// so that it never creates a configuration.
std::string encode_ca_bundle(const kube::ResourceType& type, const kube::ObjectMeta& meta,
                             const WebhookConfiguration& configuration, const std::string& bundle);

}  // namespace gobuildenv::controllers
