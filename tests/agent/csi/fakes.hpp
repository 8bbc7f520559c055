#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/csi/mounter.hpp"
#include "agent/csi/volume_service.hpp"
#include "agent/toolchains/provider.hpp"
#include "kube/clock.hpp"

namespace gobuildenv::agent::testing {

/// Mounts kept in memory.
class MemoryMounter final : public Mounter {
 public:
  std::map<std::string, std::string> mounts;  ///< target → source
  std::map<std::string, std::string> inside;  ///< of bind_inside(): place → source
  std::set<std::string> read_only;
  /// Asked before each bind; an error refuses it.
  std::function<tl::expected<void, MountError>(const std::string& source)> on_bind;
  std::function<tl::expected<void, MountError>(const OverlayLayers&)> on_overlay;
  std::function<tl::expected<void, MountError>()> on_unmount;

  tl::expected<void, MountError> bind(const std::string& source, const std::string& target,
                                      bool ro) override {
    if (on_bind) {
      if (auto allowed = on_bind(source); !allowed) return allowed;
    }
    mounts[target] = source;
    if (ro) read_only.insert(target);
    return {};
  }
  tl::expected<void, MountError> bind_inside(const std::string& source, const std::string& outer,
                                             const std::string& target,
                                             const std::string& folder) override {
    EXPECT_EQ(mounts[target], outer);
    if (on_bind) {
      if (auto allowed = on_bind(source); !allowed) return allowed;
    }
    inside[target + "/" + folder] = source;
    return {};
  }
  tl::expected<void, MountError> overlay(const OverlayLayers& layers,
                                         const std::string& target) override {
    if (on_overlay) {
      if (auto allowed = on_overlay(layers); !allowed) return allowed;
    }
    mounts[target] = layers.lower + " + " + layers.upper + " + " + layers.work;
    return {};
  }
  tl::expected<void, MountError> note(const std::string& file, const std::string& line,
                                      const std::string& target) override {
    mounts[target] = file + ": " + line;
    read_only.insert(target);
    return {};
  }
  tl::expected<bool, MountError> is_mounted(const std::string& target) override {
    return mounts.contains(target);
  }
  tl::expected<void, MountError> unmount(const std::string& target) override {
    if (on_unmount) {
      if (auto allowed = on_unmount(); !allowed) return allowed;
    }
    mounts.erase(target);
    inside.clear();
    return {};
  }
};

/// Gives what a test says; waiting takes no real time.
class ScriptedProvider final : public ToolchainProvider {
 public:
  explicit ScriptedProvider(kube::FakeClock& clock) : clock_(clock) {}
  std::function<ToolchainState(const ToolchainWant&)> on_state;
  std::atomic<int> waits{0};

  ToolchainState state(const ToolchainWant& want) override { return on_state(want); }
  ToolchainState ensure(const ToolchainWant& want) override { return on_state(want); }
  ToolchainState wait(const ToolchainWant& want, kube::Clock::TimePoint deadline) override {
    ++waits;
    ToolchainState now = on_state(want);
    const bool passes = now.kind == ToolchainState::Kind::Failed && now.retry_at > clock_.now();
    if (now.kind == ToolchainState::Kind::Ready ||
        (now.kind == ToolchainState::Kind::Failed && !passes)) {
      return now;
    }
    if (deadline > clock_.now()) clock_.advance(deadline - clock_.now());
    return now;
  }
  std::vector<Entry> entries() override { return {}; }

 private:
  kube::FakeClock& clock_;
};

struct RecordingObserver final : VolumeObserver {
  std::vector<std::string> seen;
  void waiting(const VolumeSpec& spec, const std::string& why) override {
    seen.push_back("waiting " + spec.volume_id + ": " + why);
  }
  void not_shared(const VolumeSpec& spec, const std::string& why) override {
    seen.push_back("not shared " + spec.volume_id + ": " + why);
  }
  void not_offered(const VolumeRecord& record, const std::string& why) override {
    seen.push_back("not offered " + record.volume_id + ": " + why);
  }
  void not_recorded(const VolumeRecord& record, const std::string& why) override {
    seen.push_back("not recorded " + record.volume_id + ": " + why);
  }
  void handed_over(const VolumeRecord& record) override {
    seen.push_back("handed over " + record.volume_id);
  }
  void not_taken(const VolumeRecord& record, const std::string& why) override {
    seen.push_back("not taken " + record.volume_id + ": " + why);
  }
  void published(const VolumeRecord& record) override {
    seen.push_back("published " + record.volume_id + record.unavailable);
  }
  void released(const VolumeRecord& record) override {
    seen.push_back("released " + record.volume_id);
  }
};

inline ToolchainState ready(std::string goroot) {
  ToolchainState state;
  state.kind = ToolchainState::Kind::Ready;
  state.goroot = std::move(goroot);
  return state;
}

inline tl::expected<ToolchainWant, WantError> want_of(const VolumeSpec& spec) {
  ToolchainWant want;
  want.id.version = spec.toolchain.value();
  return want;
}

}  // namespace gobuildenv::agent::testing
