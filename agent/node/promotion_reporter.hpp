#pragma once

#include "agent/caches/node_caches.hpp"
#include "kube/metrics.hpp"

namespace gobuildenv::agent {

/// Tells people what becomes of trusted pods' caches: the log and counters.
class PromotionReporter {
 public:
  explicit PromotionReporter(kube::Metrics& metrics) : metrics_(metrics) {}

  void report(const PromotionResult& result);

 private:
  kube::Metrics& metrics_;
};

}  // namespace gobuildenv::agent
