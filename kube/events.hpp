#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "kube/client.hpp"
#include "kube/clock.hpp"
#include "kube/event_series.hpp"

namespace gobuildenv::kube {

/// Records Events for people. record() never blocks and never fails: what does not fit is dropped.
class EventRecorder {
 public:
  virtual ~EventRecorder() = default;
  EventRecorder() = default;
  EventRecorder(const EventRecorder&) = delete;
  EventRecorder& operator=(const EventRecorder&) = delete;
  virtual void record(Event event) noexcept = 0;
};

struct EventRecorderOptions {
  EventSeriesOptions series;
  std::size_t queue = 1000;                ///< Events waiting; more are dropped
  std::chrono::seconds write_timeout{10};  ///< per Event
  std::chrono::seconds stop_timeout{2};    ///< for what waits when stop() is called
  std::function<void()> dropped;           ///< counts one that was dropped or failed; may be empty
};

/// Writes through `client` on a thread of its own. Client and clock outlive it.
class EventWriter final : public EventRecorder {
 public:
  EventWriter(Client& client, EventRecorderOptions options, Clock& clock, Random random);
  ~EventWriter() override;
  void record(Event event) noexcept override;
  /// Writes what waits, by stop_timeout at most, and joins. Later Events are dropped.
  void stop() noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gobuildenv::kube
