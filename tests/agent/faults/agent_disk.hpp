#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "agent/node/node_agent.hpp"
#include "tests/agent/csi/fakes.hpp"
#include "tests/agent/faults/loop_disk.hpp"

namespace gobuildenv::agent::testing {

/// An agent's root on a disk of its own; there is nothing that it fetches. Skips where there can be
/// no such disk.
class AgentDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    disk_ = LoopDisk::make({}, why);
    if (!disk_) GTEST_SKIP() << why;
    std::filesystem::create_directories(root());
    provider_.on_state = [](const ToolchainWant&) { return ToolchainState{}; };
  }
  [[nodiscard]] std::string root() const { return disk_->path("root"); }
  [[nodiscard]] NodeAgentOptions options() const {
    NodeAgentOptions out;
    out.root = root();
    out.kubelet_dir = kubelet_.path();
    out.node_name = "node-1";
    return out;
  }

  TempFolder kubelet_;
  std::unique_ptr<LoopDisk> disk_;
  kube::FakeClock test_clock_;
  ScriptedProvider provider_{test_clock_};
};

}  // namespace gobuildenv::agent::testing
