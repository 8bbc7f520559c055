// Against a real API server, when GBE_TEST_KUBECONFIG names its kubeconfig: what only a real one
// can show of list, watch and leases. It works in a namespace of its own and removes it.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "kube/config_loader.hpp"
#include "kube/informer.hpp"
#include "kube/leader_election.hpp"
#include "kube/make_client.hpp"
#include "kube/object_meta.hpp"

namespace gobuildenv::kube {
namespace {

using nlohmann::json;
using std::chrono::seconds;

const ResourceType kConfigMaps{"", "v1", "configmaps", "ConfigMap", true};
const ResourceType kNamespaces{"", "v1", "namespaces", "Namespace", false};

struct Value {
  std::string text;
  bool has_data = false;
};

tl::expected<Decoded<Value>, std::string> decode_value(std::string_view text) {
  auto identity = decode_identity(text);
  if (!identity) return tl::unexpected(identity.error());
  const auto object = json::parse(text, nullptr, false);
  Value value;
  value.has_data = object.contains("data");
  if (value.has_data) value.text = object["data"].value("k", "");
  return Decoded<Value>{identity->meta, std::make_shared<const Value>(std::move(value))};
}

class LiveRuntime : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* file = std::getenv("GBE_TEST_KUBECONFIG");
    if (file == nullptr) GTEST_SKIP() << "GBE_TEST_KUBECONFIG names no kubeconfig";
    LoadOptions load;
    load.kubeconfig = file;
    auto config = load_cluster_config(load);
    ASSERT_TRUE(config) << config.error().text();
    auto parts = make_client_parts(*config, clock_);
    ASSERT_TRUE(parts) << parts.error().text();
    ClientOptions options;
    options.clock = &clock_;
    client_ = make_client(*parts, std::move(options));
    ns_ = "live-" + std::to_string(std::random_device{}() % 1000000);
    auto made = client_->create(
        kNamespaces, "",
        json{{"metadata", {{"name", ns_}}}, {"kind", "Namespace"}, {"apiVersion", "v1"}}.dump(),
        soon());
    ASSERT_TRUE(made) << made.error().message;
  }
  void TearDown() override {
    if (client_) {
      EXPECT_TRUE(client_->remove(kNamespaces, {"", ns_}, {}, soon()));
    }
  }

  Deadline soon() { return clock_.now() + seconds(20); }
  std::string map(const std::string& name, const std::string& value) {
    return json{{"apiVersion", "v1"},
                {"kind", "ConfigMap"},
                {"metadata", {{"name", name}, {"labels", {{"live", "yes"}}}}},
                {"data", {{"k", value}}}}
        .dump();
  }
  std::string create(const std::string& name, const std::string& value) {
    auto made = client_->create(kConfigMaps, ns_, map(name, value), soon());
    EXPECT_TRUE(made) << made.error().message;
    return made ? *made : "";
  }
  InformerOptions options(bool streaming) {
    InformerOptions options;
    options.type = kConfigMaps;
    options.ns = ns_;
    options.label_selector = "live=yes";
    options.watch.streaming_list = streaming;
    options.watch.page_size = 7;
    return options;
  }
  InformerRuntime runtime() { return {*client_, clock_, make_random(), nullptr}; }
  static bool eventually(const std::function<bool()>& condition) {
    for (int i = 0; i < 2'000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  RealClock clock_;
  std::unique_ptr<Client> client_;
  std::string ns_;
};

TEST_F(LiveRuntime, StreamedAndPagedListsSeeTheSameAndFollowChanges) {
  for (int i = 0; i < 25; ++i) create("map-" + std::to_string(i), "old");
  Informer<Value> streamed(runtime(), options(true), decode_value);
  Informer<Value> paged(runtime(), options(false), decode_value);
  auto metadata_options = options(true);
  metadata_options.metadata_only = true;
  Informer<Value> metadata(runtime(), metadata_options, decode_value);
  const std::vector<Informer<Value>*> all = {&streamed, &paged, &metadata};
  for (auto* informer : all) informer->start();
  for (auto* informer : all) {
    ASSERT_TRUE(informer->wait_for_sync(clock_.now() + seconds(20)));
    EXPECT_EQ(informer->size(), 25U);
  }
  EXPECT_FALSE(metadata.get({ns_, "map-3"})->has_data);
  EXPECT_EQ(streamed.get({ns_, "map-3"})->text, "old");

  auto patched = client_->patch(kConfigMaps, {ns_, "map-3"}, R"({"data":{"k":"new"}})",
                                "application/merge-patch+json", "", soon());
  ASSERT_TRUE(patched) << patched.error().message;
  ASSERT_TRUE(client_->remove(kConfigMaps, {ns_, "map-4"}, {}, soon()));
  create("added", "new");
  for (auto* informer : {&streamed, &paged}) {
    EXPECT_TRUE(eventually([&] {
      return informer->get({ns_, "map-3"})->text == "new" && !informer->get({ns_, "map-4"}) &&
             informer->get({ns_, "added"});
    }));
  }
}

TEST_F(LiveRuntime, OwnWritesAreReadAtOnceAndComeBackAsNoChange) {
  Informer<Value> informer(runtime(), options(true), decode_value);
  std::atomic<int> own{0};
  std::atomic<int> watched{0};
  informer.add_handler([&](const Change<Value>& change) {
    if (change.key.name == "end") return;
    ++(change.origin == Origin::OwnWrite ? own : watched);
  });
  informer.start();
  ASSERT_TRUE(informer.wait_for_sync(clock_.now() + seconds(20)));
  for (int i = 0; i < 50; ++i) {
    const auto name = "mine-" + std::to_string(i);
    informer.observe_write(create(name, "1"));
    ASSERT_TRUE(informer.get({ns_, name}));
    EXPECT_TRUE(informer.caught_up({ns_, name}));
  }
  create("end", "1");
  EXPECT_TRUE(eventually([&] { return informer.get({ns_, "end"}) != nullptr; }));
  EXPECT_EQ(own + watched, 50) << "each creation is one change, whoever told of it first";
}

TEST_F(LiveRuntime, LeaseGoesFromOneToTheOther) {
  LeaderElectionOptions options;
  options.lease = {ns_, "lease"};
  options.retry_period = std::chrono::milliseconds(200);
  std::atomic<int> leader{0};
  const auto elector = [&](int number) {
    options.identity = "replica-" + std::to_string(number);
    LeaderCallbacks callbacks;
    callbacks.on_started = [&leader, number] { leader = number; };
    return std::make_unique<LeaderElector>(*client_, clock_, make_random(), options, callbacks);
  };
  auto first = elector(1);
  first->start();
  ASSERT_TRUE(eventually([&] { return leader == 1; }));
  auto second = elector(2);
  second->start();
  std::this_thread::sleep_for(seconds(1));
  EXPECT_TRUE(first->is_leader());
  EXPECT_FALSE(second->is_leader());
  first->stop(LeaderElector::Release::Yes);
  EXPECT_TRUE(eventually([&] { return leader == 2; }));
  EXPECT_TRUE(second->is_leader());
  second->stop(LeaderElector::Release::Yes);
}

}  // namespace
}  // namespace gobuildenv::kube
