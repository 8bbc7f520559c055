#include <gtest/gtest.h>

#include "caches.hpp"
#include "controllers/serving/lookup.hpp"
#include "crds/digest.hpp"
#include "goenv/names.hpp"
#include "goenv/revision.hpp"
#include "memory_client.hpp"

namespace gobuildenv::controllers {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using webhooks::CsiDriver;
using webhooks::NamespaceInjection;
using Found = webhooks::EnvironmentLookup::Found;
using Kind = kube::Error::Kind;

const std::map<std::string, std::string> kData{{"go.env", "CGO_ENABLED=0\n"},
                                               {"pod.json", R"({"format":1})"}};

class Serving : public ::testing::Test {
 protected:
  Serving()
      : runtime_{client_, clock_, [] { return 0.5; }, nullptr},
        environments_(runtime_, {}, decode_environment, {selecting_index()}),
        config_maps_(runtime_, {}, decode_config_map, {config_map_index()}),
        namespaces_(runtime_, {}, decode_namespace),
        csi_drivers_(runtime_, {}, decode_csi_driver),
        lookup_({client_, environments_, config_maps_, namespaces_, csi_drivers_},
                milliseconds(700)),
        hash_(goenv::content_hash(kData, "", crds::sha256_hex)) {}

  void sync() {
    testing::sync(environments_);
    testing::sync(config_maps_);
    testing::sync(namespaces_);
    testing::sync(csi_drivers_);
  }

  /// In the API server; its text, for a cache.
  std::string environment(const std::string& name, json selector = nullptr) {
    json object{{"metadata", {{"name", name}, {"namespace", "ns"}, {"generation", 1}}},
                {"spec", {{"toolchain", {{"version", "1.22.3"}}}}},
                {"status", {{"revisions", {{"current", hash_}}}}}};
    if (!selector.is_null()) object["spec"]["injection"]["podSelector"] = std::move(selector);
    return client_.put("gobuildenvs", std::move(object));
  }
  std::string config_map(const std::string& name, const std::function<void(json&)>& change = {}) {
    ConfigMapBody body;
    body.key = {"ns", goenv::config_map_name(name, hash_)};
    body.environment = name;
    body.owner_uid = client_.at("gobuildenvs", name)["metadata"]["uid"];
    json object = json::parse(encode_config_map(body, kData));
    if (change) change(object);
    return client_.put("configmaps", std::move(object));
  }
  void serve(const std::string& name, json selector = nullptr) {
    environments_.observe_write(environment(name, std::move(selector)));
    config_maps_.observe_write(config_map(name));
  }

  kube::FakeClock clock_;
  testing::MemoryClient client_;
  kube::InformerRuntime runtime_;
  kube::Informer<EnvironmentRecord> environments_;
  kube::Informer<ConfigMapRecord> config_maps_;
  kube::Informer<NamespaceRecord> namespaces_;
  kube::Informer<CsiDriverRecord> csi_drivers_;
  ServingLookup lookup_;
  std::string hash_;
};

TEST_F(Serving, ReadsOnlyTheContentAndOnlyOnce) {
  sync();
  serve("app", {{"matchLabels", {{"team", "web"}}}});
  const auto answer = lookup_.find("ns", "app");
  ASSERT_EQ(answer.found, Found::Yes);
  EXPECT_EQ(answer.environment->ns, "ns");
  EXPECT_EQ(answer.environment->name, "app");
  EXPECT_EQ(answer.environment->revision, hash_);
  EXPECT_EQ(answer.environment->config_map, "app-" + hash_);
  EXPECT_EQ(*answer.environment->pod_json, kData.at("pod.json"));
  EXPECT_EQ(answer.environment->pod_selector->match_labels.at("team"), "web");
  EXPECT_EQ(client_.gets, 1) << "the ConfigMap: the cache has its metadata";
  client_.fail_gets = Kind::Retry;
  EXPECT_EQ(lookup_.find("ns", "app").found, Found::Yes) << "from memory";
  EXPECT_EQ(client_.gets, 1);
}

TEST_F(Serving, WhatTheCachesLackMayBeThereByNow) {
  sync();
  EXPECT_EQ(lookup_.find("ns", "app").found, Found::No);
  EXPECT_EQ(client_.gets, 1);
  environment("app");
  config_map("app");
  EXPECT_EQ(lookup_.find("ns", "app").found, Found::Yes);
  EXPECT_EQ(client_.gets, 3);
  client_.fail_gets = Kind::Retry;
  EXPECT_EQ(lookup_.find("ns", "app").found, Found::No) << "the caches are the next best answer";
}

TEST_F(Serving, WhatHasNoRevisionIsNotServed) {
  sync();
  environments_.observe_write(client_.put(
      "gobuildenvs",
      {{"metadata", {{"name", "new"}, {"namespace", "ns"}}}, {"spec", json::object()}}));
  EXPECT_EQ(lookup_.find("ns", "new").found, Found::NotServed);
  EXPECT_EQ(client_.gets, 1) << "it may be served by now";
  environment("new");
  config_map("new");
  EXPECT_EQ(lookup_.find("ns", "new").found, Found::Yes);
  client_.fail_gets = Kind::Retry;
  EXPECT_EQ(lookup_.find("ns", "new").found, Found::NotServed);
}

TEST_F(Serving, OnlyOurOwnIntactRevisionIsServed) {
  sync();
  const std::vector<std::pair<const char*, std::function<void(json&)>>> changes{
      {"content", [](json& map) { map["data"]["go.env"] = "GOFLAGS=-toolexec=/tmp/x\n"; }},
      {"pod.json", [](json& map) { map["data"]["pod.json"] = "{}"; }},
      {"mutable", [](json& map) { map["immutable"] = false; }},
      {"owner", [](json& map) { map["metadata"]["ownerReferences"][0]["uid"] = "another"; }},
      {"no owner", [](json& map) { map["metadata"].erase("ownerReferences"); }},
      {"going", [](json& map) { map["metadata"]["deletionTimestamp"] = "2026-11-22T10:58:50Z"; }},
  };
  int serial = 0;
  for (const auto& [name, change] : changes) {
    const std::string app = "app" + std::to_string(++serial);
    environments_.observe_write(environment(app));
    config_maps_.observe_write(config_map(app, change));
    const auto answer = lookup_.find("ns", app);
    EXPECT_EQ(answer.found, Found::NotServed) << name;
    EXPECT_FALSE(answer.environment) << name;
  }
}

TEST_F(Serving, AnEnvironmentMadeAnewDoesNotServeItsPredecessorsRevision) {
  sync();
  serve("app");
  environments_.observe_write(environment("app"));  // another uid
  EXPECT_EQ(lookup_.find("ns", "app").found, Found::NotServed);
}

TEST_F(Serving, WhatHasNotChangedIsServedAgainAsItIs) {
  sync();
  serve("app", {{"matchLabels", json::object()}});
  const auto first = lookup_.find("ns", "app").environment;
  ASSERT_TRUE(first);
  EXPECT_EQ(lookup_.find("ns", "app").environment, first);
  const auto selected = lookup_.selecting("ns", {}).environments;
  ASSERT_EQ(selected.size(), 1u);
  EXPECT_EQ(selected.front(), first);
}

TEST_F(Serving, WhatWasServedIsNotOnceItsObjectsHaveChanged) {
  sync();
  serve("tampered");
  serve("anew");
  for (const char* name : {"tampered", "anew"}) {
    ASSERT_EQ(lookup_.find("ns", name).found, Found::Yes) << name;
  }
  config_maps_.observe_write(
      config_map("tampered", [](json& map) { map["data"]["pod.json"] = "{}"; }));
  environments_.observe_write(environment("anew"));  // another uid
  EXPECT_EQ(lookup_.find("ns", "tampered").found, Found::NotServed);
  EXPECT_EQ(lookup_.find("ns", "anew").found, Found::NotServed);
}

TEST_F(Serving, ManyEnvironmentsAreEachServedTheirOwn) {
  sync();
  const int count = 2 * static_cast<int>(ServedCache::kSlots);
  for (int i = 0; i < count; ++i) serve("app-" + std::to_string(i));
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < count; ++i) {
      const std::string name = "app-" + std::to_string(i);
      const auto answer = lookup_.find("ns", name);
      ASSERT_EQ(answer.found, Found::Yes);
      EXPECT_EQ(answer.environment->name, name);
    }
  }
}

TEST_F(Serving, ARevisionThatTheCacheLacksIsReadLive) {
  sync();
  environments_.observe_write(environment("app"));
  EXPECT_EQ(lookup_.find("ns", "app").found, Found::NotServed);
  EXPECT_EQ(client_.gets, 1);
  config_map("app");
  EXPECT_EQ(lookup_.find("ns", "app").found, Found::Yes);
  EXPECT_EQ(client_.gets, 2);
  client_.fail_gets = Kind::Retry;
  EXPECT_EQ(lookup_.find("ns", "app").found, Found::Unknown);
}

TEST_F(Serving, BeforeTheCachesHaveSyncedItAsksOnceWithinTheDeadline) {
  environment("app");
  config_map("app");
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(lookup_.find("ns", "app").found, Found::Yes);
  const auto after = std::chrono::steady_clock::now();
  ASSERT_EQ(client_.asked.size(), 2u) << "the environment and its revision";
  EXPECT_EQ(client_.asked[0], client_.asked[1]) << "one deadline for both";
  EXPECT_GE(client_.asked[0], before + milliseconds(700));
  EXPECT_LE(client_.asked[0], after + milliseconds(700));
  EXPECT_EQ(lookup_.find("ns", "absent").found, Found::No);
  EXPECT_EQ(client_.gets, 3);
  client_.fail_gets = Kind::Retry;
  EXPECT_EQ(lookup_.find("ns", "app").found, Found::Unknown);
  EXPECT_EQ(client_.gets, 4);
}

TEST_F(Serving, SelectsByLabelsInOrderOfNames) {
  sync();
  serve("b", {{"matchLabels", {{"team", "web"}}}});
  serve("a", {{"matchExpressions", {{{"key", "team"}, {"operator", "Exists"}}}}});
  serve("c", {{"matchLabels", {{"team", "db"}}}});
  serve("labelled-only");
  const auto reads = [this] { return std::exchange(client_.gets, 0); };
  // Selects, and has nothing to serve yet.
  environments_.observe_write(
      client_.put("gobuildenvs", {{"metadata", {{"name", "new"}, {"namespace", "ns"}}},
                                  {"spec", {{"injection", {{"podSelector", json::object()}}}}}}));
  const auto names = [&](std::string_view ns, const webhooks::Labels& labels) {
    std::string out;
    const auto candidates = lookup_.selecting(ns, labels);
    for (const auto& environment : candidates.environments) out += environment->name + " ";
    EXPECT_TRUE(candidates.unknown.empty() && candidates.complete);
    return out;
  };
  EXPECT_EQ(names("ns", {{"team", "web"}}), "a b ");
  EXPECT_EQ(reads(), 2);
  EXPECT_EQ(names("ns", {{"team", "db"}}), "a c ");
  EXPECT_EQ(reads(), 1) << "a's content is known";
  EXPECT_EQ(names("ns", {}), "");
  EXPECT_EQ(names("elsewhere", {{"team", "web"}}), "");
  EXPECT_EQ(reads(), 0);
}

TEST_F(Serving, WhatSelectsAndCannotBeReadIsNamed) {
  sync();
  for (const char* name : {"d", "a", "c"}) serve(name, json::object());
  serve("b", {{"matchLabels", {{"team", "web"}}}});
  ASSERT_EQ(lookup_.find("ns", "c").found, Found::Yes);
  client_.asked.clear();
  client_.fail_gets = Kind::Retry;
  const auto candidates = lookup_.selecting("ns", {});
  ASSERT_EQ(candidates.environments.size(), 1u);
  EXPECT_EQ(candidates.environments.front()->name, "c");
  EXPECT_EQ(candidates.unknown, (std::vector<std::string>{"a", "d"}));
  EXPECT_TRUE(candidates.complete);
  ASSERT_EQ(client_.asked.size(), 2u);
  EXPECT_EQ(client_.asked[0], client_.asked[1]) << "one deadline for all";
}

TEST_F(Serving, WhatSelectsWithoutARevisionTakesNoPart) {
  sync();
  environments_.observe_write(environment("app", json::object()));  // its ConfigMap is not there
  client_.fail_gets = Kind::NotFound;
  const auto candidates = lookup_.selecting("ns", {});
  EXPECT_TRUE(candidates.environments.empty() && candidates.unknown.empty());
  EXPECT_EQ(client_.gets, 1);
}

TEST_F(Serving, BeforeTheFirstListThereMayBeMoreThatSelect) {
  EXPECT_FALSE(lookup_.selecting("ns", {}).complete);
  sync();
  EXPECT_TRUE(lookup_.selecting("ns", {}).complete);
}

TEST_F(Serving, ANamespaceThatCannotBeReadIsNotUnlabelled) {
  client_.fail_gets = Kind::Retry;
  EXPECT_EQ(lookup_.injection("ns"), NamespaceInjection::Unknown);
  client_.fail_gets = Kind::NotFound;
  EXPECT_EQ(lookup_.injection("ns"), NamespaceInjection::Unset);
  client_.fail_gets = Kind::Retry;
  sync();
  EXPECT_EQ(lookup_.injection("ns"), NamespaceInjection::Unset)
      << "the cache has all labelled ones";
  EXPECT_EQ(client_.gets, 2);
}

TEST_F(Serving, TheNamespaceAndTheDriverTakeAThirdOfTheTime) {
  lookup_.injection("ns");
  lookup_.csi_driver();
  const auto now = std::chrono::steady_clock::now();
  ASSERT_EQ(client_.asked.size(), 2u);
  for (const auto& deadline : client_.asked) EXPECT_LE(deadline, now + milliseconds(700) / 3);
}

TEST_F(Serving, ReadsTheNamespacesLabel) {
  const auto labelled = [&](const std::string& name, const char* value) {
    json object{{"metadata", {{"name", name}}}};
    if (value != nullptr) object["metadata"]["labels"][std::string(goenv::kInjectionLabel)] = value;
    return client_.put("namespaces", std::move(object));
  };
  labelled("live", "enforced");
  EXPECT_EQ(lookup_.injection("live"), NamespaceInjection::Enforced);
  EXPECT_EQ(lookup_.injection("absent"), NamespaceInjection::Unset);
  EXPECT_EQ(client_.gets, 2);
  sync();
  const std::vector<std::pair<const char*, NamespaceInjection>> cases{
      {"enabled", NamespaceInjection::Enabled},   {"enforced", NamespaceInjection::Enforced},
      {"disabled", NamespaceInjection::Disabled}, {"on", NamespaceInjection::Unset},
      {nullptr, NamespaceInjection::Unset},
  };
  for (const auto& [value, expected] : cases) {
    const std::string name = value != nullptr ? std::string("n-") + value : "n";
    namespaces_.observe_write(labelled(name, value));
    EXPECT_EQ(lookup_.injection(name), expected) << name;
  }
  EXPECT_EQ(lookup_.injection("unlabelled"), NamespaceInjection::Unset);
  EXPECT_EQ(client_.gets, 2);
}

TEST_F(Serving, KnowsWhetherTheDriverIsRegistered) {
  json driver{{"metadata", {{"name", std::string(goenv::kCsiDriver)}}}};
  json leaving = driver;
  leaving["metadata"]["deletionTimestamp"] = "2026-11-22T10:58:50Z";
  EXPECT_EQ(lookup_.csi_driver(), CsiDriver::Absent);
  client_.put("csidrivers", driver);
  EXPECT_EQ(lookup_.csi_driver(), CsiDriver::Registered);
  client_.put("csidrivers", leaving);
  EXPECT_EQ(lookup_.csi_driver(), CsiDriver::Absent);
  EXPECT_EQ(client_.gets, 3);
  sync();
  EXPECT_EQ(lookup_.csi_driver(), CsiDriver::Absent);
  csi_drivers_.observe_write(client_.put("csidrivers", driver));
  EXPECT_EQ(lookup_.csi_driver(), CsiDriver::Registered);
  csi_drivers_.observe_write(client_.put("csidrivers", leaving));
  EXPECT_EQ(lookup_.csi_driver(), CsiDriver::Absent);
  EXPECT_EQ(client_.gets, 3);
}

TEST_F(Serving, ADriverThatCannotBeReadIsNotAbsent) {
  client_.put("csidrivers", {{"metadata", {{"name", std::string(goenv::kCsiDriver)}}}});
  for (const Kind kind : {Kind::Retry, Kind::Forbidden, Kind::ShuttingDown}) {
    client_.fail_gets = kind;
    EXPECT_EQ(lookup_.csi_driver(), CsiDriver::Unknown);
  }
  client_.fail_gets = Kind::NotFound;
  EXPECT_EQ(lookup_.csi_driver(), CsiDriver::Absent);
  client_.fail_gets = Kind::Retry;
  sync();
  EXPECT_EQ(lookup_.csi_driver(), CsiDriver::Absent) << "the cache has the only one there is";
  EXPECT_EQ(client_.gets, 4);
}

}  // namespace
}  // namespace gobuildenv::controllers
