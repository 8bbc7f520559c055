#pragma once

#include <array>

#include "controllers/gobuildenv/decide.hpp"
#include "controllers/gobuildenv/records.hpp"
#include "kube/informer.hpp"
#include "kube/metrics.hpp"
#include "webhooks/certificates/rotation.hpp"

namespace gobuildenv::controllers {

/// What an operator of this operator watches, beside what the runtime counts of itself:
///
/// - gobuildenv_environments{ready="true|false|unknown"}
/// - gobuildenv_toolchain_resolutions_total{result="Resolved"|the condition's reason}
/// - gobuildenv_certificate_expiry_seconds{certificate="serving|ca"}, Unix time
///
/// Thread-safe.
class OperatorMetrics {
 public:
  /// `metrics` outlives it.
  explicit OperatorMetrics(kube::Metrics& metrics);

  /// Handler of the GoBuildEnv informer.
  void observe(const kube::Change<EnvironmentRecord>& change) const;
  /// A question that the module proxies were asked has its answer.
  void answered(const ToolchainAnswer& answer) const;
  /// The certificates in the Secret, as it is now.
  void certificates(const webhooks::certificates::Stored& stored) const;

 private:
  kube::Metrics& metrics_;
  std::array<kube::Gauge, 3> environments_;  ///< by Readiness
};

}  // namespace gobuildenv::controllers
