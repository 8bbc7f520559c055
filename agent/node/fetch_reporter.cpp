#include "agent/node/fetch_reporter.hpp"

#include <spdlog/spdlog.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace gobuildenv::agent {
namespace {

/// From a proxy next door to a slow line.
const std::vector<double> kSeconds{0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600};

kube::Counter outcomes(kube::Metrics& metrics, const std::string& result) {
  return metrics.counter("gobuildenv_toolchain_fetches_total",
                         "Fetches of toolchains that ended, by outcome.", {{"result", result}});
}

/// Somebody offered what the checksum database, or the spec, says is another thing.
bool is_unverified(const std::string& reason) {
  return reason == "SumMismatch" || reason == "SumdbForged" || reason == "BadArchive";
}

}  // namespace

FetchReporter::FetchReporter(kube::Metrics& metrics)
    : metrics_(metrics),
      in_progress_(metrics.gauge("gobuildenv_toolchain_fetches_in_progress",
                                 "Toolchains that are being fetched.")),
      bytes_(metrics.counter("gobuildenv_toolchain_fetch_bytes_total",
                             "Bytes downloaded, of failed fetches too.")),
      seconds_(metrics.histogram("gobuildenv_toolchain_fetch_seconds",
                                 "From the question for the sum to the published toolchain.",
                                 kSeconds)),
      unverified_(metrics.counter("gobuildenv_toolchain_verification_failures_total",
                                  "Fetches refused: a wrong sum, a forged answer of the checksum "
                                  "database, an archive that is none.")) {
  outcomes(metrics, "ok").add(0);
}

void FetchReporter::changed(const ToolchainWant& want, const ToolchainState& state,
                            const FetchFigures& figures) {
  using Kind = ToolchainState::Kind;
  const double seconds = std::chrono::duration<double>(figures.elapsed).count();
  switch (state.kind) {
    case Kind::Fetching:
      in_progress_.add(1);
      spdlog::info("toolchain is fetched name={}", want.id.name());
      break;
    case Kind::Ready:
      in_progress_.add(-1);
      spdlog::info("toolchain published name={} bytes={} h1={} downloaded={} seconds={:.3f}",
                   want.id.name(), state.bytes, state.h1, figures.downloaded, seconds);
      outcomes(metrics_, "ok").add();
      seconds_.observe(seconds);
      break;
    case Kind::Failed:
      in_progress_.add(-1);
      spdlog::warn("toolchain cannot be fetched name={} reason={} error=\"{}\"", want.id.name(),
                   state.reason, state.message);
      outcomes(metrics_, state.reason).add();
      if (is_unverified(state.reason)) unverified_.add();
      break;
    case Kind::Absent:
      break;
  }
  bytes_.add(static_cast<double>(figures.downloaded));
  const std::lock_guard lock(mutex_);
  if (handler_) handler_();
}

void FetchReporter::on_change(std::function<void()> handler) {
  const std::lock_guard lock(mutex_);
  handler_ = std::move(handler);
}

}  // namespace gobuildenv::agent
