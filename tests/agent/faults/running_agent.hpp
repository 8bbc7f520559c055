#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "tests/agent/faults/agent_disk.hpp"
#include "tests/controllers/memory_client.hpp"

namespace gobuildenv::agent::testing {

inline constexpr const char* kUnit = "toolchains/go1.21.6.linux-amd64/h1-old";

/// The agent asks on several threads.
class SharedClient final : public controllers::testing::MemoryClient {
 public:
  using Json = nlohmann::json;
  Result get(const kube::ResourceType& type, const kube::ObjectKey& key,
             kube::Deadline deadline) override {
    const std::lock_guard lock(mutex_);
    return MemoryClient::get(type, key, deadline);
  }
  Result create(const kube::ResourceType& type, const std::string& ns, std::string_view json,
                kube::Deadline deadline) override {
    const std::lock_guard lock(mutex_);
    return MemoryClient::create(type, ns, json, deadline);
  }
  /// As of a single manager: what was applied before and is not any more goes.
  Result apply(const kube::ResourceType& type, const kube::ObjectKey& key, std::string_view body,
               const kube::ApplyOptions& options, kube::Deadline deadline) override {
    const std::lock_guard lock(mutex_);
    if (has(type.plural, key.name) && !options.subresource.empty()) {
      at(type.plural, key.name).erase("status");
    }
    return MemoryClient::apply(type, key, body, options, deadline);
  }
  /// GoBuildEnvs that were put there; nothing else has been made.
  tl::expected<kube::ListPage, kube::Error> list(const kube::ResourceType& type,
                                                 const kube::ListOptions& options,
                                                 kube::Deadline deadline) override {
    const std::lock_guard lock(mutex_);
    if (type.plural != "gobuildenvs") return MemoryClient::list(type, options, deadline);
    Json page{{"metadata", {{"resourceVersion", "1"}}}, {"items", Json::array()}};
    for (const auto& [name, object] : all(type.plural)) page["items"].push_back(object);
    return kube::ListPage{page.dump()};
  }
  Json status() {
    const std::lock_guard lock(mutex_);
    if (!has("gonodecaches", "node-1")) return Json::object();
    return at("gonodecaches", "node-1").value("status", Json::object());
  }
  /// The message of a condition that is True; empty when there is none.
  std::string told(const std::string& type) {
    const Json now = status();
    for (const Json& condition : now.value("conditions", Json::array())) {
      if (condition["type"] == type && condition["status"] == "True") return condition["message"];
    }
    return {};
  }
  void forget() {
    const std::lock_guard lock(mutex_);
    all("gonodecaches").clear();
  }

 private:
  std::mutex mutex_;
};

/// A whole agent on a disk of its own, with one toolchain that nobody uses.
class RunningAgent : public AgentDisk {
 protected:
  void SetUp() override {
    AgentDisk::SetUp();
    if (IsSkipped()) return;
    write_file(root() + "/" + kUnit + "/goroot/bin/go", std::string(6 << 20U, 'g'));
    client_.put("nodes", {{"metadata", {{"name", "node-1"}}}});
    start();
  }
  void TearDown() override { agent_.reset(); }

  virtual ToolchainProvider& provider() { return provider_; }
  void start() {
    agent_.reset();
    NodeAgentOptions eager = options();
    eager.collect.interval = eager.collect.disk_check = eager.collect.measure_after =
        eager.collect.settle = eager.collect.quiet = std::chrono::seconds(1);
    eager.limits.min_idle = std::chrono::seconds(0);
    auto agent = NodeAgent::open(std::move(eager), {provider(), test_clock_, metrics_,
                                                    [] { return 0.5; }, &client_, nullptr});
    ASSERT_TRUE(agent.has_value()) << agent.error();
    agent_ = std::move(*agent);
    const auto started = agent_->start();
    ASSERT_TRUE(started.has_value()) << started.error();
  }
  /// Lets time pass for the agent, until then.
  void until(const char* what, const std::function<bool()>& then) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!then()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << what << ": " << client_.status().dump(1);
      test_clock_.advance(std::chrono::milliseconds(500));
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  void make_read_only(bool read_only) {
    until("the disk to be remounted", [&] { return disk_->set_read_only(read_only); });
  }

  kube::Metrics metrics_;
  SharedClient client_;
  std::unique_ptr<NodeAgent> agent_;
};

}  // namespace gobuildenv::agent::testing
