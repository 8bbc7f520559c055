#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "crds/node_cache.hpp"
#include "kube/clock.hpp"

/// When a GoNodeCache is written, so that any number of nodes together write at most about a
/// hundred times a second, and not at all while nothing changes. Pure.
namespace gobuildenv::agent {

/// How much the difference between what is written and what should be matters.
enum class Urgency : std::uint8_t {
  None,      ///< nobody would act on it: small growth, another minute of use
  Drift,     ///< sizes, last uses, how full the disk is
  Progress,  ///< of a download
  Now,       ///< a toolchain's state, a condition: people and the manager wait for it
};

/// Sizes count from a tenth and 64 Mi on, percents from five points on, uses from hours on.
[[nodiscard]] Urgency compare(const crds::NodeCacheStatus& written,
                              const crds::NodeCacheStatus& wanted);

/// How often one of `nodes` nodes may write. Nodes tend to change together: a new environment is
/// fetched for by all of them. Each write therefore waits a random part of `spread`, which grows
/// with their number by 10 ms a node.
struct WriteRates {
  kube::Clock::Duration spread;    ///< 0.5 s at least
  kube::Clock::Duration refill;    ///< a node may save up three writes and gets one back this often
  kube::Clock::Duration progress;  ///< between a write and one for Urgency::Progress
  kube::Clock::Duration drift;     ///< between a write and one for Urgency::Drift
  kube::Clock::Duration check;     ///< between looks at the object: is it still there?
  [[nodiscard]] static WriteRates for_nodes(std::size_t nodes);
};

/// Bookkeeping of one node's writes. Not thread-safe.
class WritePlan {
 public:
  static constexpr double kBurst = 3;

  WritePlan(kube::Random random, kube::Clock::TimePoint now)
      : random_(std::move(random)), filled_at_(now) {}

  /// The cluster has become larger or smaller. What is planned stays so.
  void set_rates(const WriteRates& rates) { rates_ = rates; }
  [[nodiscard]] const WriteRates& rates() const { return rates_; }

  /// Whether to write now, the difference being `urgency`. Call it again with the newest difference
  /// at next(), or whenever something may have changed.
  [[nodiscard]] bool due(Urgency urgency, kube::Clock::TimePoint now);
  /// When due() may turn true; empty: nothing is planned.
  [[nodiscard]] std::optional<kube::Clock::TimePoint> next() const;

  void wrote(kube::Clock::TimePoint now);
  /// It was not written: again after a delay that doubles up to five minutes, jittered.
  void failed(kube::Clock::TimePoint now);

 private:
  /// After what has failed.
  [[nodiscard]] kube::Clock::TimePoint put_off(kube::Clock::TimePoint planned) const;
  [[nodiscard]] kube::Clock::TimePoint earliest(Urgency urgency, kube::Clock::TimePoint now) const;
  [[nodiscard]] double tokens_at(kube::Clock::TimePoint now) const;
  [[nodiscard]] kube::Clock::Duration jitter() const;

  kube::Random random_;
  WriteRates rates_ = WriteRates::for_nodes(1);
  double tokens_ = kBurst;
  kube::Clock::TimePoint filled_at_;
  std::optional<kube::Clock::TimePoint> last_write_;
  std::optional<kube::Clock::TimePoint> planned_at_;
  Urgency planned_for_ = Urgency::None;
  std::optional<kube::Clock::TimePoint> not_before_;  ///< after a failure
  unsigned failures_ = 0;
};

}  // namespace gobuildenv::agent
