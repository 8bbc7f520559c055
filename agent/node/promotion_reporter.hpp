#pragma once

#include <array>
#include <cstddef>

#include "agent/caches/node_caches.hpp"
#include "kube/metrics.hpp"

namespace gobuildenv::agent {

/// Tells people what becomes of trusted pods' caches: the log and counters.
class PromotionReporter {
 public:
  /// Every series is there from the start: the first refusal is a step that an alert can see.
  explicit PromotionReporter(kube::Metrics& metrics);

  void report(const PromotionResult& result) const;

 private:
  static constexpr std::size_t kKinds = 4;
  std::array<kube::Counter, kKinds> ended_;  ///< by kind
  kube::Counter refused_;
};

}  // namespace gobuildenv::agent
