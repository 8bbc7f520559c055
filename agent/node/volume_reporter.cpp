#include "agent/node/volume_reporter.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "goenv/enum_names.hpp"

namespace gobuildenv::agent {
namespace {

const kube::ResourceType kPodType{"", "v1", "pods", "Pod", true};
/// From what a bind mount takes to the longest wait for a toolchain.
const std::vector<double> kSeconds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                   0.5,   1,      2.5,   5,    10,    30,   60,  90};
constexpr std::array kKinds{VolumeKind::Toolchain, VolumeKind::Modules, VolumeKind::Build};

kube::Counter calls(kube::Metrics& metrics, const char* method, const char* code) {
  return metrics.counter("gobuildenv_csi_calls_total", "Calls of the kubelet, by outcome.",
                         {{"method", method}, {"code", code}});
}

kube::Histogram durations(kube::Metrics& metrics, const char* method) {
  return metrics.histogram("gobuildenv_csi_call_seconds", "Duration of the kubelet's calls.",
                           kSeconds, {{"method", method}});
}

}  // namespace

VolumeReporter::VolumeReporter(kube::EventRecorder* events, kube::Metrics& metrics,
                               const VolumeRegistry& registry,
                               std::function<void(const VolumeRecord&)> on_change)
    : events_(events),
      metrics_(metrics),
      on_change_(std::move(on_change)),
      waits_(metrics.counter("gobuildenv_csi_toolchain_waits_total",
                             "Volumes that had to wait for their toolchain.")),
      unavailable_(metrics.counter("gobuildenv_csi_unavailable_volumes_total",
                                   "Volumes published empty: the toolchain did not come.")) {
  std::array<kube::Gauge, kKinds.size()> gauges;
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    gauges[i] = metrics.gauge("gobuildenv_csi_volumes", "Volumes published on this node.",
                              {{"kind", std::string(to_string(kKinds[i]))}});
  }
  collector_ = metrics.add_collector([gauges, &registry] {
    std::array<double, kKinds.size()> counts{};
    for (const VolumeRecord& record : registry.records()) {
      ++counts[static_cast<std::size_t>(record.kind)];
    }
    for (std::size_t i = 0; i < counts.size(); ++i) gauges[i].set(counts[i]);
  });
  // There before the first call, as every series that does not name what went wrong.
  for (const char* method : {"NodePublishVolume", "NodeUnpublishVolume"}) {
    calls(metrics, method, "OK").add(0);
    static_cast<void>(durations(metrics, method));
  }
}

void VolumeReporter::waiting(const VolumeSpec& spec, const std::string& why) {
  waits_.add();
  spdlog::info("volume waits for its toolchain pod={}/{} volume={} why=\"{}\"", spec.pod.ns,
               spec.pod.name, spec.volume_id, why);
  event(spec.pod, false, "ToolchainPending", "Waiting for the Go toolchain: " + why);
}

void VolumeReporter::not_shared(const VolumeSpec& spec, const std::string& why) {
  spdlog::info("cache is the pod's own pod={}/{} volume={} kind={} scope={} why=\"{}\"",
               spec.pod.ns, spec.pod.name, spec.volume_id, to_string(spec.kind),
               goenv::enum_name(spec.scope), why);
}

void VolumeReporter::not_offered(const VolumeRecord& record, const std::string& why) {
  spdlog::warn("newer toolchain cannot be offered pod={}/{} volume={} why=\"{}\"", record.pod.ns,
               record.pod.name, record.volume_id, why);
}

void VolumeReporter::not_recorded(const VolumeRecord& record, const std::string& why) {
  spdlog::warn(
      "volume is recorded in memory until the disk can be written pod={}/{} volume={} "
      "why=\"{}\"",
      record.pod.ns, record.pod.name, record.volume_id, why);
}

void VolumeReporter::not_taken(const VolumeRecord& record, const std::string& why) {
  spdlog::warn("cache of a trusted pod cannot be taken over pod={}/{} volume={} why=\"{}\"",
               record.pod.ns, record.pod.name, record.volume_id, why);
}

void VolumeReporter::published(const VolumeRecord& record) {
  on_change_(record);
  if (record.unavailable.empty()) {
    spdlog::info("volume published kind={} pod={}/{} volume={} toolchain={}",
                 to_string(record.kind), record.pod.ns, record.pod.name, record.volume_id,
                 record.toolchain);
    return;
  }
  unavailable_.add();
  spdlog::warn("volume published without a toolchain pod={}/{} volume={} toolchain={} why=\"{}\"",
               record.pod.ns, record.pod.name, record.volume_id, record.toolchain,
               record.unavailable);
  event(record.pod, true, "ToolchainUnavailable",
        fmt::format("go{} is not available on this node, builds will exit with 78: {}",
                    record.toolchain, record.unavailable));
}

void VolumeReporter::released(const VolumeRecord& record) {
  on_change_(record);
  spdlog::info("volume released kind={} pod={}/{} volume={}", to_string(record.kind), record.pod.ns,
               record.pod.name, record.volume_id);
}

void VolumeReporter::call(const char* method, const char* code, double seconds) {
  calls(metrics_, method, code).add();
  durations(metrics_, method).observe(seconds);
}

void VolumeReporter::event(const PodIdentity& pod, bool warning, const char* reason,
                           std::string note) {
  if (events_ == nullptr) return;
  kube::Event event;
  event.type = kPodType;
  event.key = {pod.ns, pod.name};
  event.uid = pod.uid;
  event.warning = warning;
  event.reason = reason;
  event.action = "MountToolchain";
  event.note = std::move(note);
  events_->record(std::move(event));
}

}  // namespace gobuildenv::agent
