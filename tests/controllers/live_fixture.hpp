#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "controllers/gobuildenv/records.hpp"
#include "controllers/manager.hpp"
#include "controllers/serving/namespaces.hpp"
#include "kube/config_loader.hpp"
#include "kube/make_client.hpp"

namespace gobuildenv::controllers::testing {

/// Against a real API server that has crds/gobuildenvs.yaml, when GBE_TEST_KUBECONFIG names its
/// kubeconfig: the whole manager but its servers, in a namespace of its own that it removes.
class LiveManager : public ::testing::Test {
 protected:
  using Json = nlohmann::json;

  void SetUp() override {
    const char* file = std::getenv("GBE_TEST_KUBECONFIG");
    if (file == nullptr) GTEST_SKIP() << "GBE_TEST_KUBECONFIG names no kubeconfig";
    kube::LoadOptions load;
    load.kubeconfig = file;
    auto config = kube::load_cluster_config(load);
    ASSERT_TRUE(config) << config.error().text();
    auto parts = kube::make_client_parts(*config, clock_);
    ASSERT_TRUE(parts) << parts.error().text();
    parts_ = *parts;
    client_ = make_client({});
    const auto crd = client_->list(kGoBuildEnvType, in({}), soon());
    ASSERT_TRUE(crd) << "apply crds/gobuildenvs.yaml first: " << crd.error().message;
    ns_ = "live-" + std::to_string(std::random_device{}() % 1000000);
    create(kNamespaceType, "", {{"metadata", {{"name", ns_}}}});
  }

  void TearDown() override {
    manager_.reset();
    if (!client_ || ns_.empty()) return;
    // Without a controller manager nothing else empties the namespace.
    for (const auto& [type, keys] : made_) {
      for (const kube::ObjectKey& key : keys) (void)client_->remove(type, key, {}, soon());
    }
    for (const std::string& name : names(kConfigMapType)) {
      (void)client_->remove(kConfigMapType, {ns_, name}, {}, soon());
    }
    (void)client_->remove(kNamespaceType, {"", ns_}, {}, soon());
  }

  std::unique_ptr<kube::Client> make_client(kube::WriteFence fence,
                                            kube::RequestStop* stop = nullptr) {
    kube::ClientOptions options;
    options.clock = &clock_;
    options.fence = std::move(fence);
    options.stop = stop;
    options.random = kube::make_random();
    options.count = [this](const std::string&, const std::string& method, const std::string&) {
      if (method != "GET") ++writes_;
    };
    return kube::make_client(parts_, std::move(options));
  }

  void start_manager() {
    ManagerOptions options;
    options.watch_namespace = ns_;
    options.own_namespace = ns_;
    options.identity = "live-" + std::to_string(std::random_device{}());
    options.mutating_configuration = ns_;
    options.validating_configuration = ns_;
    options.on_certificate = [this](const auto& pair) { certificates_ += pair.empty() ? 0 : 1; };
    manager_ = std::make_unique<Manager>(
        options, ManagerEdges{[this](kube::WriteFence fence, kube::RequestStop* stop) {
                                return make_client(std::move(fence), stop);
                              },
                              clock_, metrics_, kube::make_random()});
    manager_->start();
    ASSERT_TRUE(eventually([&] { return manager_->leads() && manager_->synced(); }));
  }

  void stop_manager() {
    manager_->request_stop();
    EXPECT_EQ(manager_->wait(), Manager::End::Stopped);
    manager_->stop_controllers();
    manager_->release_lease();
    manager_.reset();
  }

  static kube::ListOptions in(std::string ns) {
    kube::ListOptions options;
    options.ns = std::move(ns);
    return options;
  }

  kube::Deadline soon() { return clock_.now() + std::chrono::seconds(20); }

  void create(const kube::ResourceType& type, const std::string& ns, Json object) {
    object["apiVersion"] = type.api_version();
    object["kind"] = type.kind;
    const auto made = client_->create(type, ns, object.dump(), soon());
    ASSERT_TRUE(made) << made.error().message;
    if (type.namespaced || type.kind != "Namespace") {
      made_.push_back({type, {{ns, object["metadata"]["name"]}}});
    }
  }

  Json get(const kube::ResourceType& type, const std::string& name) {
    const auto found = client_->get(type, {type.namespaced ? ns_ : "", name}, soon());
    return found ? Json::parse(*found) : Json();
  }

  std::vector<std::string> names(const kube::ResourceType& type) {
    std::vector<std::string> out;
    const auto page = client_->list(type, in(ns_), soon());
    if (!page) return out;
    const Json list = Json::parse(page->body);
    for (const Json& item : list["items"]) out.push_back(item["metadata"]["name"]);
    return out;
  }

  void create_environment(const std::string& name, Json spec) {
    create(kGoBuildEnvType, ns_,
           {{"metadata", {{"name", name}, {"namespace", ns_}}}, {"spec", std::move(spec)}});
  }

  static const Json* condition(const Json& object, const std::string& type) {
    if (!object.contains("status") || !object["status"].contains("conditions")) return nullptr;
    for (const Json& entry : object["status"]["conditions"]) {
      if (entry["type"] == type) return &entry;
    }
    return nullptr;
  }

  bool ready(const std::string& name) {
    const Json object = get(kGoBuildEnvType, name);
    const Json* found = condition(object, "Ready");
    return found != nullptr && (*found)["status"] == "True" &&
           (*found)["observedGeneration"] == object["metadata"]["generation"];
  }

  static bool eventually(const std::function<bool()>& holds) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!holds()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
  }

  kube::RealClock clock_;
  kube::Metrics metrics_;
  kube::ClientParts parts_;
  std::unique_ptr<kube::Client> client_;
  std::string ns_;
  std::vector<std::pair<kube::ResourceType, std::vector<kube::ObjectKey>>> made_;
  std::atomic<int> writes_{0};
  std::atomic<int> certificates_{0};
  std::unique_ptr<Manager> manager_;
};

}  // namespace gobuildenv::controllers::testing
