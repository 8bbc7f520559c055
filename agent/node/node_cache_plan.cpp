#include "agent/node/node_cache_plan.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace gobuildenv::agent {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Duration = kube::Clock::Duration;
using TimePoint = kube::Clock::TimePoint;

constexpr std::int64_t kSizeStep = std::int64_t{64} << 20;
constexpr std::int32_t kDiskStep = 5;       // points
constexpr std::int32_t kProgressStep = 25;  // points
constexpr std::int64_t kToolchainUse = 2 * 3600;
constexpr std::int64_t kCacheUse = 6 * 3600;
constexpr unsigned kMostDoublings = 8;

bool size_differs(std::int64_t written, std::int64_t wanted) {
  return std::abs(written - wanted) > std::max(kSizeStep, written / 10);
}

Urgency compare_toolchain(const crds::NodeToolchain& written, const crds::NodeToolchain& wanted) {
  // The message of a failure may hold a time or an address; the reason says what kind it is.
  if (written.state != wanted.state || written.reason != wanted.reason ||
      written.sum != wanted.sum) {
    return Urgency::Now;
  }
  if (std::abs(written.progress - wanted.progress) >= kProgressStep) return Urgency::Progress;
  if ((written.volumes == 0) != (wanted.volumes == 0) || size_differs(written.size, wanted.size) ||
      std::abs(written.last_used - wanted.last_used) >= kToolchainUse) {
    return Urgency::Drift;
  }
  return Urgency::None;
}

Urgency compare_toolchains(const crds::NodeCacheStatus& written,
                           const crds::NodeCacheStatus& wanted) {
  if (written.toolchains.size() != wanted.toolchains.size()) return Urgency::Now;
  Urgency out = Urgency::None;
  for (std::size_t i = 0; i < written.toolchains.size(); ++i) {
    const crds::NodeToolchain& a = written.toolchains[i];
    const crds::NodeToolchain& b = wanted.toolchains[i];
    if (a.version != b.version || a.os != b.os || a.arch != b.arch || a.key != b.key) {
      return Urgency::Now;
    }
    out = std::max(out, compare_toolchain(a, b));
  }
  return out;
}

bool caches_differ(const crds::NodeCacheStatus& written, const crds::NodeCacheStatus& wanted) {
  return !std::equal(written.caches.begin(), written.caches.end(), wanted.caches.begin(),
                     wanted.caches.end(), [](const auto& a, const auto& b) {
                       return a.namespace_uid == b.namespace_uid &&
                              a.environment == b.environment && !size_differs(a.size, b.size) &&
                              std::abs(a.last_used - b.last_used) < kCacheUse;
                     });
}

bool conditions_differ(const crds::NodeCacheStatus& written, const crds::NodeCacheStatus& wanted) {
  if (written.conditions.size() != wanted.conditions.size()) return true;
  return !std::all_of(wanted.conditions.begin(), wanted.conditions.end(), [&](const auto& now) {
    const crds::Condition* then = written.find(now.type);
    return then != nullptr && then->status == now.status && then->reason == now.reason;
  });
}

}  // namespace

Urgency compare(const crds::NodeCacheStatus& written, const crds::NodeCacheStatus& wanted) {
  if (conditions_differ(written, wanted)) return Urgency::Now;
  const Urgency toolchains = compare_toolchains(written, wanted);
  if (toolchains > Urgency::Drift) return toolchains;
  const bool drifted =
      written.agent_version != wanted.agent_version || size_differs(written.size, wanted.size) ||
      caches_differ(written, wanted) || size_differs(written.disk_size, wanted.disk_size) ||
      std::abs(written.disk_used_percent - wanted.disk_used_percent) >= kDiskStep ||
      std::abs(written.inodes_used_percent - wanted.inodes_used_percent) >= kDiskStep ||
      written.last_collected != wanted.last_collected ||
      written.decisions.empty() != wanted.decisions.empty();
  return drifted ? Urgency::Drift : toolchains;
}

WriteRates WriteRates::for_nodes(std::size_t nodes) {
  constexpr std::size_t kMost = 1'000'000;
  const milliseconds ten_each(10 * static_cast<std::int64_t>(std::min(nodes, kMost)));
  const milliseconds spread = std::max(ten_each, milliseconds(500));
  WriteRates out{};
  out.spread = spread;
  out.refill = std::max<Duration>(spread, seconds(10));
  out.progress = std::max<Duration>(2 * spread, seconds(5));
  out.drift = std::max<Duration>(10 * spread, seconds(60));
  out.check = std::max<Duration>(6 * spread, seconds(60));
  return out;
}

double WritePlan::tokens_at(TimePoint now) const {
  const double passed = std::chrono::duration<double>(now - filled_at_).count();
  const double each = std::chrono::duration<double>(rates_.refill).count();
  return std::min(kBurst, tokens_ + std::max(passed, 0.0) / each);
}

Duration WritePlan::jitter() const {
  return duration_cast<Duration>(std::chrono::duration<double>(rates_.spread) * random_());
}

TimePoint WritePlan::earliest(Urgency urgency, TimePoint now) const {
  TimePoint at = now;
  const double missing = 1 - tokens_at(now);
  if (missing > 0) {
    at += duration_cast<Duration>(std::chrono::duration<double>(rates_.refill) * missing);
  }
  // One wave after the other: a node that has just written leaves the next to those that have not.
  if (last_write_) at = std::max(at, *last_write_ + rates_.spread);
  if (last_write_ && urgency == Urgency::Progress)
    at = std::max(at, *last_write_ + rates_.progress);
  if (last_write_ && urgency == Urgency::Drift) at = std::max(at, *last_write_ + rates_.drift);
  return at;
}

bool WritePlan::due(Urgency urgency, TimePoint now) {
  if (urgency == Urgency::None) {
    planned_at_.reset();
    planned_for_ = Urgency::None;
    return false;
  }
  if (!planned_at_ || urgency > planned_for_) {
    const TimePoint at = earliest(urgency, now) + jitter();
    planned_at_ = planned_at_ ? std::min(*planned_at_, at) : at;
  }
  // A plan for something that mattered more is kept: it is over soon.
  planned_for_ = std::max(planned_for_, urgency);
  return now >= put_off(*planned_at_);
}

TimePoint WritePlan::put_off(TimePoint planned) const {
  return not_before_ ? std::max(planned, *not_before_) : planned;
}

std::optional<TimePoint> WritePlan::next() const {
  if (!planned_at_) return std::nullopt;
  return put_off(*planned_at_);
}

void WritePlan::wrote(TimePoint now) {
  tokens_ = std::max(tokens_at(now) - 1, 0.0);
  filled_at_ = now;
  last_write_ = now;
  planned_at_.reset();
  planned_for_ = Urgency::None;
  not_before_.reset();
  failures_ = 0;
}

void WritePlan::failed(TimePoint now) {
  const Duration base = std::max<Duration>(rates_.spread, seconds(1));
  const Duration most = std::max<Duration>(base, std::chrono::minutes(5));
  const Duration wait =
      std::min<Duration>(base * (1U << std::min(failures_, kMostDoublings)), most);
  ++failures_;
  not_before_ = now + wait / 2 +
                duration_cast<Duration>(std::chrono::duration<double>(wait) * (random_() / 2));
}

}  // namespace gobuildenv::agent
