#pragma once

#include <functional>

#include "agent/csi/volume_service.hpp"
#include "kube/events.hpp"
#include "kube/metrics.hpp"

namespace gobuildenv::agent {

/// Tells people what happens to volumes: the log, Events on the pod, counters.
class VolumeReporter final : public VolumeObserver {
 public:
  /// `events` may be null. `registry` is asked for counts at each scrape. All outlive it.
  /// `on_change` is called after each volume that is published or gone; then there may be something
  /// in the trash.
  VolumeReporter(kube::EventRecorder* events, kube::Metrics& metrics,
                 const VolumeRegistry& registry,
                 std::function<void(const VolumeRecord&)> on_change);

  void waiting(const VolumeSpec& spec, const std::string& why) override;
  void not_shared(const VolumeSpec& spec, const std::string& why) override;
  void not_offered(const VolumeRecord& record, const std::string& why) override;
  void not_recorded(const VolumeRecord& record, const std::string& why) override;
  void published(const VolumeRecord& record) override;
  void released(const VolumeRecord& record) override;
  void not_taken(const VolumeRecord& record, const std::string& why) override;

  /// For CsiServerOptions::observed.
  void call(const char* method, const char* code, double seconds);

 private:
  void event(const PodIdentity& pod, bool warning, const char* reason, std::string note);

  kube::EventRecorder* events_;
  kube::Metrics& metrics_;
  std::function<void(const VolumeRecord&)> on_change_;
  kube::Counter waits_;
  kube::Counter unavailable_;
  kube::Metrics::Registration collector_;
};

}  // namespace gobuildenv::agent
