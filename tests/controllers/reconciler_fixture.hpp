#pragma once

#include <gtest/gtest.h>

#include "caches.hpp"
#include "controllers/gobuildenv/reconciler.hpp"
#include "crds/digest.hpp"
#include "memory_client.hpp"

namespace gobuildenv::controllers::testing {

/// An EnvironmentReconciler with one GoBuildEnv, `ns/app`. The caches hold what the test shows
/// them, as a watch would.
class Reconciler : public ::testing::Test {
 protected:
  using Json = nlohmann::json;

  Reconciler()
      : runtime_{client_, clock_, [] { return 0.5; }, nullptr},
        environments_(runtime_, {}, decode_environment),
        config_maps_(runtime_, {}, decode_config_map, {config_map_index()}),
        pods_(runtime_, {}, decode_pod, {pod_index()}),
        chosen_(runtime_, {}, decode_pod, {pod_index()}),
        resolver_({}, {}, clock_, [](const kube::ObjectKey&) {}),
        reconciler_(client_, {environments_, config_maps_, pods_, chosen_}, resolver_, events_,
                    clock_, options()) {
    sync(environments_);
    sync(config_maps_);
    sync(pods_);
    sync(chosen_);
    show_environment(Json{{"metadata", {{"name", "app"}, {"namespace", "ns"}, {"generation", 1}}},
                          {"spec", {{"toolchain", {{"version", "1.22.3"}}}}}});
  }

  static ReconcilerOptions options() {
    ReconcilerOptions out;
    out.decide.sha256 = crds::sha256_hex;
    return out;
  }

  void show_environment(Json object) {
    environments_.observe_write(client_.put("gobuildenvs", std::move(object)));
  }
  void edit(const Json& patch) {
    Json& object = client_.at("gobuildenvs", "app");
    object.merge_patch(patch);
    environments_.observe_write(client_.touch(object));
  }
  kube::ReconcileResult run() { return reconciler_.reconcile({"ns", "app"}); }
  kube::ReconcileResult::Kind reconcile() { return run().kind; }
  Json status() { return client_.at("gobuildenvs", "app")["status"]; }
  /// A condition as it was written; one that says "absent" when it was not.
  Json condition(const std::string& type) {
    const Json now = status();
    for (const Json& entry : now.value("conditions", Json::array())) {
      if (entry["type"] == type) return entry;
    }
    return {{"status", "absent"}, {"reason", ""}, {"message", ""}};
  }
  std::string current() { return status()["revisions"]["current"]; }

  kube::FakeClock clock_;
  MemoryClient client_;
  kube::InformerRuntime runtime_;
  kube::Informer<EnvironmentRecord> environments_;
  kube::Informer<ConfigMapRecord> config_maps_;
  kube::Informer<PodRecord> pods_;
  kube::Informer<PodRecord> chosen_;
  ToolchainResolver resolver_;
  CollectedEvents events_;
  EnvironmentReconciler reconciler_;
};

}  // namespace gobuildenv::controllers::testing
