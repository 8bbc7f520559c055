#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "controllers/certificates/records.hpp"
#include "kube/client.hpp"
#include "kube/clock.hpp"
#include "kube/controller.hpp"
#include "kube/informer.hpp"

namespace gobuildenv::controllers {

struct CertificateOptions {
  kube::ObjectKey secret;
  webhooks::certificates::RotationOptions rotation;
  std::chrono::seconds request_timeout{15};
};

/// Field manager of caBundle: GitOps tools see that the chart does not own it.
inline constexpr const char* kCaBundleManager = "gobuildenv-ca";

/// Carries out webhooks/certificates/rotation.hpp: the Secret and the webhook configurations are
/// written by the leader alone; every replica watches the Secret and swaps its leaf.
class CertificateController {
 public:
  struct Sources {
    kube::Client& client;
    kube::Informer<CertificateSecret>& secret;
    kube::Informer<WebhookConfiguration>& mutating;
    kube::Informer<WebhookConfiguration>& validating;
  };
  /// All references outlive it.
  CertificateController(Sources sources, kube::Clock& clock, CertificateOptions options);

  /// One pass; the key is always the Secret's.
  kube::ReconcileResult reconcile(const kube::ObjectKey& key);

  /// Whether every webhook configuration there trusts the stored CA; true when there is none yet.
  [[nodiscard]] bool published() const;

 private:
  using Outcome = std::optional<kube::ReconcileResult>;

  [[nodiscard]] webhooks::certificates::Observed observe();
  Outcome write_secret(webhooks::certificates::Step step,
                       const webhooks::certificates::Observed& observed);
  Outcome publish(const std::string& bundle);
  Outcome publish(const kube::ResourceType& type, kube::Informer<WebhookConfiguration>& informer,
                  const std::string& bundle);
  [[nodiscard]] std::vector<std::string> bundles() const;
  [[nodiscard]] kube::Deadline deadline() const { return clock_.now() + options_.request_timeout; }

  Sources sources_;
  kube::Clock& clock_;
  const CertificateOptions options_;

  // Of the one worker that reconciles:
  std::vector<std::string> last_bundles_;
  std::optional<std::chrono::system_clock::time_point> bundles_since_;
};

}  // namespace gobuildenv::controllers
