#include "controllers/operator_metrics.hpp"

#include <chrono>
#include <cstddef>

namespace gobuildenv::controllers {

namespace certs = webhooks::certificates;

OperatorMetrics::OperatorMetrics(kube::Metrics& metrics) : metrics_(metrics) {
  const auto gauge = [&](Readiness ready, const char* text) {
    environments_[static_cast<std::size_t>(ready)] = metrics.gauge(
        "gobuildenv_environments", "GoBuildEnvs by their condition Ready.", {{"ready", text}});
  };
  gauge(Readiness::Unknown, "unknown");
  gauge(Readiness::True, "true");
  gauge(Readiness::False, "false");
}

void OperatorMetrics::observe(const kube::Change<EnvironmentRecord>& change) const {
  if (change.origin == kube::Origin::Resync) return;
  const auto count = [&](const EnvironmentRecord* record, double by) {
    if (record != nullptr) environments_[static_cast<std::size_t>(record->ready)].add(by);
  };
  count(change.old_value.get(), -1);
  count(change.new_value.get(), 1);
}

void OperatorMetrics::answered(const ToolchainAnswer& answer) const {
  const bool resolved = answer.state == ToolchainAnswer::State::Resolved;
  metrics_
      .counter("gobuildenv_toolchain_resolutions_total",
               "Version ranges asked of the module proxies, by what came of it.",
               {{"result", resolved ? "Resolved" : answer.reason}})
      .add();
}

void OperatorMetrics::certificates(const certs::Stored& stored) const {
  const auto expiry = [&](const char* which, const std::string& pem) {
    const auto info = certs::inspect(pem);
    if (!info) return;
    metrics_
        .gauge("gobuildenv_certificate_expiry_seconds",
               "When the webhook's certificate ends, in seconds of the Unix epoch.",
               {{"certificate", which}})
        .set(std::chrono::duration<double>(info->not_after.time_since_epoch()).count());
  };
  expiry("serving", stored.leaf.certificate);
  expiry("ca", stored.ca.certificate);
}

}  // namespace gobuildenv::controllers
