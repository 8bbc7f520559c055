#pragma once

#include <atomic>
#include <optional>

#include "controllers/certificates/controller.hpp"
#include "controllers/manager/informers.hpp"
#include "controllers/operator_metrics.hpp"
#include "kube/controller.hpp"
#include "kube/health.hpp"

namespace gobuildenv::controllers {

/// The manager's part in the webhook's certificate, by CertificateMode: hands the leaf of the
/// Secret to whoever serves it, and, where it is ours, keeps Secret and caBundle. With
/// CertificateMode::Files it does nothing.
class ManagerCertificates {
 public:
  /// All references outlive it. Registers its handlers: construct it before the informers start.
  ManagerCertificates(const ManagerOptions& options, ManagerInformers& informers,
                      kube::Client& client, const OperatorMetrics& operator_metrics,
                      kube::Clock& clock, kube::Metrics& metrics);
  ManagerCertificates(const ManagerCertificates&) = delete;
  ManagerCertificates& operator=(const ManagerCertificates&) = delete;

  /// This process leads: from now on it writes.
  void begin();
  void request_stop();
  void join();
  /// Its worker has held its key for too long.
  [[nodiscard]] bool hung() const { return controller_ && controller_->hung(); }
  /// Adds "certificate" and "ca-bundle", where they are the manager's business.
  void add_checks(kube::HealthChecks& ready);

 private:
  void on_secret(const kube::Change<CertificateSecret>& change);
  void enqueue();

  const ManagerOptions& options_;
  ManagerInformers& informers_;
  const OperatorMetrics& operator_metrics_;
  std::optional<CertificateController> rotation_;
  std::optional<kube::Controller> controller_;
  std::atomic<bool> begun_{false};
  std::atomic<bool> loaded_{false};  ///< a leaf was handed out
};

}  // namespace gobuildenv::controllers
