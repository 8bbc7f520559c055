#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "agent/collector/policy.hpp"
#include "kube/clock.hpp"

/// When the collector runs. Pure. All times are monotonic: whoever sets the wall clock changes
/// nothing here.
namespace gobuildenv::agent {

struct TriggerOptions {
  std::chrono::seconds interval{300};      ///< between runs while anything uses the node's caches
  std::chrono::seconds disk_check{15};     ///< statvfs, for the high watermark
  std::chrono::seconds measure_after{60};  ///< sizes after a change, at most this often
  std::chrono::seconds quiet{3600};        ///< between runs while nothing happens
  /// Before the first run: volumes recover, pods and environments are listed.
  std::chrono::seconds settle{10};
  /// The same, over the high watermark, where the API server does not answer.
  std::chrono::seconds alone{60};
};

/// What has happened so far.
struct TriggerState {
  kube::Clock::TimePoint started{};
  std::optional<kube::Clock::TimePoint> last_run;   ///< its end
  std::optional<kube::Clock::TimePoint> last_look;  ///< of a run or a measurement, its end
  std::optional<kube::Clock::TimePoint> last_disk_check;
  /// When the first unit that no root protects reaches its age.
  std::optional<kube::Clock::TimePoint> due;
  bool ready = true;               ///< the cluster's roots are known; before, runs only over_high
  bool changed = false;            ///< since the last look began
  bool changed_since_run = false;  ///< since the last run began
  bool volumes = false;            ///< some are published: caches are being used
  bool over_high = false;          ///< at the last check of the disk
  bool run_was_vain = false;       ///< the last run gave nothing back
};

struct Turn {
  enum class Kind { Wait, CheckDisk, Measure, Run };
  Kind kind = Kind::Wait;
  const char* why = "";            ///< of a run: "interval", "age", "disk"
  kube::Clock::TimePoint until{};  ///< of a wait
};

[[nodiscard]] Turn next_turn(const TriggerState& state, const TriggerOptions& options,
                             kube::Clock::TimePoint now);

/// Whether bytes or inodes are over the high watermark.
[[nodiscard]] bool over_high(const collector::Disk& disk, const collector::Limits& limits);

/// Node time until the first unit that stays, and that no root protects, may go by its age. Empty:
/// there is none.
[[nodiscard]] std::optional<collector::seconds> until_due(const collector::Inventory& inventory,
                                                          const collector::Plan& plan,
                                                          const collector::Limits& limits);

}  // namespace gobuildenv::agent
