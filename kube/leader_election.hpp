#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "kube/client.hpp"
#include "kube/clock.hpp"
#include "kube/metrics.hpp"

namespace gobuildenv::kube {

struct LeaderElectionOptions {
  ObjectKey lease;       ///< namespace and name of the Lease
  std::string identity;  ///< unique per process: host name and a random part
  std::chrono::milliseconds lease_duration{15'000};
  std::chrono::milliseconds renew_deadline{10'000};
  std::chrono::milliseconds retry_period{2'000};
  double jitter = 1.2;  ///< a wait is retry_period · [1, 1 + jitter) while acquiring
};

/// Called on the elector's thread; they must return soon.
struct LeaderCallbacks {
  std::function<void()> on_started;  ///< we lead
  /// We led and no longer do, nor will this elector again. The process should exit: what it has in
  /// memory may be old.
  std::function<void()> on_lost;
  std::function<void(const std::string& identity)> on_new_leader;  ///< also for ourselves
};

/// One leader among the replicas, by a coordination.k8s.io/v1 Lease. Another holder's lease is over
/// when its record has not *changed* for its duration by our own monotonic clock; the times in the
/// record are never compared with our clock.
class LeaderElector {
 public:
  /// `client` must have no write fence of this elector: the Lease is written before we lead. It,
  /// `clock` and `metrics` (may be null) outlive the elector.
  LeaderElector(Client& client, Clock& clock, Random random, LeaderElectionOptions options,
                LeaderCallbacks callbacks, Metrics* metrics = nullptr);
  /// stop(Release::No) if it was not called.
  ~LeaderElector();
  LeaderElector(const LeaderElector&) = delete;
  LeaderElector& operator=(const LeaderElector&) = delete;

  void start();

  enum class Release { No, Yes };
  /// Stops renewing and joins; then with Release::Yes, if we led, gives the Lease back so that
  /// another replica takes over at once. Call it after the workers have joined.
  void stop(Release release);

  /// True while our lease is valid at this very moment: reads the clocks, so that a process that
  /// was stopped past its lease and continued gets false at its first question. The validity
  /// counts from before the last successful renewal was *sent*, by CLOCK_MONOTONIC and by
  /// CLOCK_BOOTTIME (the machine may have slept). Thread-safe, two clock reads.
  [[nodiscard]] bool is_leader() const noexcept;
  /// When whoever led before us last renewed or gave the Lease back, by his wall clock; none where
  /// there was no Lease. For on_started and later.
  [[nodiscard]] std::optional<std::chrono::system_clock::time_point> led_until() const {
    return led_until_;
  }
  /// is_leader() as the client's write fence; the elector outlives it.
  [[nodiscard]] WriteFence fence() const {
    return [this] { return is_leader(); };
  }

 private:
  struct Record;
  enum class Attempt { Held, NotHeld, Failed };

  void run();
  bool acquire();
  void renew();
  Attempt try_acquire_or_renew(Deadline deadline);
  Attempt write(std::string body, bool create, Deadline deadline, Clock::TimePoint sent,
                Clock::Duration sent_boot);
  void observe(std::string_view text);
  void give_back();
  void set_valid(Clock::TimePoint sent, Clock::Duration sent_boot) noexcept;
  void clear_valid() noexcept;

  Client& client_;
  Clock& clock_;
  const Random random_;
  const LeaderElectionOptions options_;
  const LeaderCallbacks callbacks_;
  const Gauge status_;

  std::unique_ptr<Record> observed_;  ///< used by the elector's thread only
  std::string reported_leader_;
  std::optional<std::chrono::system_clock::time_point> led_until_;
  std::atomic<Clock::Duration::rep> valid_until_;       ///< monotonic, since its epoch
  std::atomic<Clock::Duration::rep> valid_until_boot_;  ///< since boot
  StopSignal stop_;
  std::thread thread_;
};

}  // namespace gobuildenv::kube
