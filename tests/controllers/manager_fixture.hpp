#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "controllers/gobuildenv/records.hpp"
#include "controllers/manager.hpp"
#include "goenv/names.hpp"
#include "world.hpp"

namespace gobuildenv::controllers::testing {

inline bool eventually(const std::function<bool()>& holds) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

/// A Manager in a World of its own, on a clock that stands still.
class ManagerTest : public ::testing::Test {
 protected:
  using json = nlohmann::json;

  ManagerTest() {
    options_.own_namespace = "system";
    options_.identity = "test";
    options_.leader_election = false;
    options_.certificates = CertificateMode::Files;
    options_.on_certificate = [this](const webhooks::certificates::KeyPair& leaf) {
      const std::scoped_lock lock(mutex_);
      leaves_.push_back(leaf);
    };
  }
  ~ManagerTest() override { stop(); }

  void start() {
    start_only();
    ASSERT_TRUE(eventually([this] { return manager_->leads() && manager_->synced(); }));
  }
  void start_only() {
    manager_ = std::make_unique<Manager>(
        options_, ManagerEdges{[this](kube::WriteFence fence, kube::RequestStop*) {
                                 return std::make_unique<WorldClient>(world_, std::move(fence));
                               },
                               clock_, metrics_, kube::make_random()});
    manager_->add_checks(live_, ready_);
    manager_->start();
  }
  void stop() {
    if (!manager_) return;
    manager_->stop_controllers();
    manager_->release_lease();
    manager_.reset();
  }

  void create_environment(const std::string& name, const std::string& version = "1.22.3") {
    world_.create("gobuildenvs",
                  {{"metadata", {{"name", name}, {"namespace", "ns"}, {"generation", 1}}},
                   {"spec", {{"toolchain", {{"version", version}}}}}});
  }
  json status(const std::string& name) {
    return world_.get("gobuildenvs", name).value("status", json::object());
  }
  bool is_ready(const std::string& name) {
    const json now = status(name);
    for (const json& condition : now.value("conditions", json::array())) {
      if (condition["type"] == "Ready") return condition["status"] == "True";
    }
    return false;
  }
  /// Asked for the environment and got its revision.
  void create_pod(const std::string& name, const std::string& phase = "Pending") {
    world_.create("pods",
                  {{"metadata",
                    {{"name", name},
                     {"namespace", "ns"},
                     {"labels",
                      {{std::string(goenv::kEnvLabel), "app"},
                       {std::string(goenv::kRevisionLabel), "0123456789"}}},
                     {"annotations", {{std::string(goenv::kEnvironmentAnnotation), "app"}}}}},
                   {"status", {{"phase", phase}}}});
  }
  /// Was chosen by the environment's podSelector.
  void create_chosen_pod(const std::string& name) {
    world_.create("pods",
                  {{"metadata",
                    {{"name", name},
                     {"namespace", "ns"},
                     {"labels", {{std::string(goenv::kRevisionLabel), "0123456789"}}},
                     {"annotations", {{std::string(goenv::kEnvironmentAnnotation), "app"}}}}},
                   {"status", {{"phase", "Pending"}}}});
  }
  /// "reason object uid", sorted.
  std::vector<std::string> events() {
    std::vector<std::string> out;
    for (const json& event : world_.all("events")) {
      const json& about = event["regarding"];
      out.push_back(event["reason"].get<std::string>() + " " + about["name"].get<std::string>() +
                    " " + about.value("uid", "-"));
    }
    std::sort(out.begin(), out.end());
    return out;
  }
  std::string uid(const std::string& plural, const std::string& name) {
    return world_.get(plural, name)["metadata"]["uid"];
  }
  bool exposes(const std::string& line) { return metrics_.text().find(line) != std::string::npos; }
  std::vector<webhooks::certificates::KeyPair> leaves() {
    const std::scoped_lock lock(mutex_);
    return leaves_;
  }
  bool passes(const std::string& check) { return ready_.answer("/readyz/" + check).status == 200; }

  kube::FakeClock clock_;
  kube::Metrics metrics_;
  kube::HealthChecks live_{"healthz"};
  kube::HealthChecks ready_{"readyz"};
  World world_{clock_};
  ManagerOptions options_;
  std::mutex mutex_;
  std::vector<webhooks::certificates::KeyPair> leaves_;
  std::unique_ptr<Manager> manager_;
};

}  // namespace gobuildenv::controllers::testing
