#include "controllers/outcome.hpp"
#include "goenv/names.hpp"
#include "reconciler_fixture.hpp"

namespace gobuildenv::controllers {
namespace {

using kube::ReconcileResult;
using nlohmann::json;
using testing::Reconciler;
using Kind = kube::Error::Kind;

TEST_F(Reconciler, WritesOncePerNewObjectAndThenNothing) {
  EXPECT_EQ(reconcile(), ReconcileResult::Kind::Done);
  EXPECT_EQ(client_.log, (std::vector<std::string>{"create configmaps/app-" + current(),
                                                   "update gobuildenvs/app/status"}));
  EXPECT_EQ(client_.gets, 0);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(reconcile(), ReconcileResult::Kind::Done);
  EXPECT_EQ(client_.log.size(), 2u);
  EXPECT_EQ(client_.gets, 0);
  EXPECT_TRUE(events_.events.empty());
  EXPECT_EQ(status()["history"][0]["uid"],
            client_.at("configmaps", "app-" + current())["metadata"]["uid"]);
  // Another process: the status vouches for what nobody can have changed.
  EnvironmentReconciler next(client_, {environments_, config_maps_, pods_, chosen_}, resolver_,
                             events_, clock_, options());
  EXPECT_EQ(next.reconcile({"ns", "app"}).kind, ReconcileResult::Kind::Done);
  EXPECT_EQ(client_.log.size(), 2u);
  EXPECT_EQ(client_.gets, 0);
}

TEST_F(Reconciler, WhatTheStatusDoesNotVouchForIsReadOnceAndThenVouchedFor) {
  reconcile();
  edit({{"status", {{"history", json::array({{{"name", current()}, {"generation", 1}}})}}}});
  client_.log.clear();
  EXPECT_EQ(reconcile(), ReconcileResult::Kind::Done);
  EXPECT_EQ(client_.gets, 1);
  EXPECT_EQ(client_.log, std::vector<std::string>{"update gobuildenvs/app/status"});
  EXPECT_EQ(reconcile(), ReconcileResult::Kind::Done);
  EXPECT_EQ(client_.gets, 1);
}

TEST_F(Reconciler, WhatCannotBeReadIsNotJudged) {
  reconcile();
  const std::string name = "app-" + current();
  config_maps_.observe_write(client_.put("configmaps", client_.at("configmaps", name)));
  client_.log.clear();
  client_.fail_gets = Kind::Retry;
  EXPECT_EQ(reconcile(), ReconcileResult::Kind::Retry);
  EXPECT_TRUE(client_.log.empty());
  client_.fail_gets.reset();
  EXPECT_EQ(reconcile(), ReconcileResult::Kind::Done);
  EXPECT_EQ(client_.log, std::vector<std::string>{"update gobuildenvs/app/status"})
      << "made anew with the very content: only its uid is news";
}

TEST_F(Reconciler, StatusIsNotWrittenWhereTheConfigMapIsNot) {
  client_.fail = [](const std::string& entry) {
    return entry.starts_with("create") ? std::optional(Kind::Retry) : std::nullopt;
  };
  EXPECT_EQ(reconcile(), ReconcileResult::Kind::Retry);
  EXPECT_TRUE(client_.log.empty());
  client_.fail = {};
  EXPECT_EQ(reconcile(), ReconcileResult::Kind::Done);
  EXPECT_EQ(client_.log.size(), 2u);
}

TEST_F(Reconciler, ALostStatusWriteIsMadeUpWithoutASecondConfigMap) {
  client_.fail = [](const std::string& entry) {
    return entry.starts_with("update") ? std::optional(Kind::Conflict) : std::nullopt;
  };
  EXPECT_EQ(reconcile(), ReconcileResult::Kind::Retry);
  client_.fail = {};
  EXPECT_EQ(reconcile(), ReconcileResult::Kind::Done);
  EXPECT_EQ(client_.all("configmaps").size(), 1u);
  EXPECT_EQ(client_.log.back(), "update gobuildenvs/app/status");
}

TEST_F(Reconciler, NothingStartsWithoutTheLease) {
  client_.fail = [](const std::string&) { return std::optional(Kind::ShuttingDown); };
  EXPECT_EQ(reconcile(), ReconcileResult::Kind::Done);
  EXPECT_TRUE(client_.log.empty());
}

TEST_F(Reconciler, AStaleViewChangesNothing) {
  // Somebody wrote to the object and our watch has not shown it.
  client_.at("gobuildenvs", "app")["metadata"]["resourceVersion"] = "99999";
  EXPECT_EQ(reconcile(), ReconcileResult::Kind::Retry);
  EXPECT_FALSE(client_.at("gobuildenvs", "app").contains("status"));
}

TEST_F(Reconciler, OwnConfigMapThatTheCacheLacksIsTakenAsItIs) {
  reconcile();
  const std::string name = "app-" + current();
  // A new process whose ConfigMap watch is behind: the spec is read anew, the object is found.
  kube::Informer<ConfigMapRecord> behind(runtime_, {}, decode_config_map, {config_map_index()});
  testing::sync(behind);
  EnvironmentReconciler other(client_, {environments_, behind, pods_, chosen_}, resolver_, events_,
                              clock_, options());
  client_.log.clear();
  EXPECT_EQ(other.reconcile({"ns", "app"}).kind, ReconcileResult::Kind::Done);
  EXPECT_EQ(client_.log, std::vector<std::string>{"create configmaps/" + name})
      << "refused as it exists; nothing else is written";
  EXPECT_TRUE(behind.get({"ns", name}));
}

TEST_F(Reconciler, LabelsTakenFromAConfigMapAreGivenBack) {
  reconcile();
  const std::string name = "app-" + current();
  client_.at("configmaps", name)["metadata"].erase("labels");
  kube::Informer<ConfigMapRecord> blind(runtime_, {}, decode_config_map, {config_map_index()});
  testing::sync(blind);
  EnvironmentReconciler other(client_, {environments_, blind, pods_, chosen_}, resolver_, events_,
                              clock_, options());
  EXPECT_EQ(other.reconcile({"ns", "app"}).kind, ReconcileResult::Kind::Done);
  const json labels = client_.at("configmaps", name)["metadata"]["labels"];
  EXPECT_EQ(labels[std::string(kManagedByLabel)], kManagedBy);
  EXPECT_EQ(labels[std::string(goenv::kEnvLabel)], "app");
}

TEST_F(Reconciler, ObjectsOfOthersAreLeftAlone) {
  reconcile();
  const std::string taken = "app-" + current();
  json theirs = client_.at("configmaps", taken);
  // Another cluster state: the name was there before the environment, without owner.
  theirs["metadata"].erase("ownerReferences");
  theirs["metadata"].erase("labels");
  theirs["data"] = {{"note", "mine"}};
  testing::MemoryClient fresh;
  fresh.put("configmaps", theirs);
  const json before = fresh.at("configmaps", taken);
  json object = client_.at("gobuildenvs", "app");
  object.erase("status");
  kube::Informer<EnvironmentRecord> environments(runtime_, {}, decode_environment);
  kube::Informer<ConfigMapRecord> config_maps(runtime_, {}, decode_config_map,
                                              {config_map_index()});
  testing::sync(environments);
  testing::sync(config_maps);
  environments.observe_write(fresh.put("gobuildenvs", object));
  EnvironmentReconciler other(fresh, {environments, config_maps, pods_, chosen_}, resolver_,
                              events_, clock_, options());
  EXPECT_EQ(other.reconcile({"ns", "app"}).kind, ReconcileResult::Kind::Done);
  EXPECT_EQ(fresh.at("configmaps", taken), before);
  EXPECT_EQ(fresh.all("configmaps").size(), 2u);
  const std::string salted = fresh.at("gobuildenvs", "app")["status"]["revisions"]["current"];
  EXPECT_NE("app-" + salted, taken);
  EXPECT_EQ(
      fresh.at("configmaps",
               "app-" + salted)["metadata"]["annotations"][std::string(goenv::kSaltAnnotation)],
      "1");
  ASSERT_EQ(events_.events.size(), 1u);
  EXPECT_EQ(events_.events[0].reason, "NameTaken");
}

TEST_F(Reconciler, TheSpecOfASettledObjectIsReadWhenItIsNeeded) {
  reconcile();
  EXPECT_EQ(environments_.get({"ns", "app"})->rare().spec, "");
  const std::string name = "app-" + current();
  // It is immutable: whoever wants another content has to make it anew.
  json forged = client_.at("configmaps", name);
  forged["data"]["go.env"] = "GOFLAGS=-x\n";
  config_maps_.observe_write(client_.put("configmaps", std::move(forged)));
  client_.log.clear();
  EXPECT_EQ(reconcile(), ReconcileResult::Kind::Done);
  EXPECT_EQ(client_.gets, 2) << "the ConfigMap, and the spec to make another";
  EXPECT_FALSE(client_.has("configmaps", name));
  EXPECT_NE("app-" + current(), name);
  EXPECT_EQ(events_.events[0].reason, "RevisionTampered");
}

TEST_F(Reconciler, ATerminatingNamespaceIsFinal) {
  kube::Error error;
  error.kind = Kind::Forbidden;
  error.message =
      "namespaces \"ns\": unable to create new content in namespace ns because it is "
      "being terminated";
  EXPECT_EQ(outcome(error).kind, ReconcileResult::Kind::Final);
  error.message = "configmaps is forbidden: User \"x\" cannot create resource";
  EXPECT_EQ(outcome(error).kind, ReconcileResult::Kind::Retry);
}

TEST_F(Reconciler, PodCountsAreWrittenAtMostEveryHalfMinute) {
  reconcile();
  const auto pod = [&](const std::string& name, bool got) {
    json object{{"metadata",
                 {{"name", name},
                  {"namespace", "ns"},
                  {"uid", name},
                  {"labels", {{std::string(goenv::kEnvLabel), "app"}}}}}};
    if (got) object["metadata"]["annotations"][std::string(goenv::kRevisionAnnotation)] = current();
    pods_.observe_write(client_.touch(object));
  };
  pod("a", true);
  client_.log.clear();
  reconcile();
  EXPECT_EQ(status()["pods"]["injected"], 1);
  pod("b", true);
  pod("c", false);
  EXPECT_EQ(reconcile(), ReconcileResult::Kind::RequeueAfter);
  EXPECT_EQ(status()["pods"]["injected"], 1);
  clock_.advance(std::chrono::seconds(30));
  EXPECT_EQ(reconcile(), ReconcileResult::Kind::Done);
  EXPECT_EQ(status()["pods"]["injected"], 2);
  EXPECT_EQ(status()["pods"]["missed"], 1);
  EXPECT_EQ(client_.log.size(), 2u);
}

TEST_F(Reconciler, PodsItChoseKeepTheirRevisionAndAreCounted) {
  reconcile();
  const std::string first = current();
  json pod{{"metadata",
            {{"name", "chosen"},
             {"namespace", "ns"},
             {"uid", "chosen"},
             {"labels", {{std::string(goenv::kRevisionLabel), first}}},
             {"annotations", {{std::string(goenv::kEnvironmentAnnotation), "app"}}}}}};
  chosen_.observe_write(client_.touch(pod));
  edit({{"metadata", {{"generation", 2}}},
        {"spec", {{"toolchain", {{"version", "1.23.1"}}}, {"revisionHistoryLimit", 0}}}});
  reconcile();
  ASSERT_NE(current(), first);
  EXPECT_EQ(status()["pods"]["injected"], 1);
  clock_.advance(std::chrono::hours(2));
  reconcile();
  EXPECT_TRUE(client_.has("configmaps", "app-" + first)) << "the pod mounts it";

  pod["status"]["phase"] = "Succeeded";
  chosen_.observe_write(client_.touch(pod));
  reconcile();
  EXPECT_FALSE(client_.has("configmaps", "app-" + first));
}

TEST_F(Reconciler, ExportIsCreatedAndNeverAdopted) {
  client_.put("configmaps", {{"metadata", {{"name", "go-env"}, {"namespace", "ns"}}}});
  const json theirs = client_.at("configmaps", "go-env");
  edit({{"metadata", {{"generation", 2}}}, {"spec", {{"export", {{"configMapName", "go-env"}}}}}});
  EXPECT_EQ(reconcile(), ReconcileResult::Kind::RequeueAfter);
  EXPECT_EQ(client_.at("configmaps", "go-env"), theirs);
  client_.log.clear();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(reconcile(), ReconcileResult::Kind::RequeueAfter);
  EXPECT_EQ(client_.log, std::vector<std::string>{}) << "a name that is taken is looked at only";
  edit({{"metadata", {{"generation", 3}}}, {"spec", {{"export", {{"configMapName", "mine"}}}}}});
  EXPECT_EQ(reconcile(), ReconcileResult::Kind::Done);
  EXPECT_EQ(client_.at("configmaps", "mine")["data"]["CGO_ENABLED"], "0");
  const std::size_t writes = client_.log.size();
  client_.gets = 0;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(reconcile(), ReconcileResult::Kind::Done);
  EXPECT_EQ(client_.log.size(), writes);
  EXPECT_LE(client_.gets, 2) << "read once: the revision, and what was exported";
  // Nothing keeps people from editing it.
  json& edited = client_.at("configmaps", "mine");
  edited["data"]["CGO_ENABLED"] = "1";
  config_maps_.observe_write(client_.touch(edited));
  EXPECT_EQ(reconcile(), ReconcileResult::Kind::Done);
  EXPECT_EQ(client_.at("configmaps", "mine")["data"]["CGO_ENABLED"], "0");
}

TEST_F(Reconciler, EditedAnnotationsMakeARevisionNothingElse) {
  reconcile();
  const std::string name = "app-" + current();
  for (const char* annotation : {"gobuildenv.dev/salt", "gobuildenv.dev/content"}) {
    SCOPED_TRACE(annotation);
    Json& map = client_.at("configmaps", name);
    map["metadata"]["annotations"][annotation] = "9";
    config_maps_.observe_write(client_.touch(map));
    client_.log.clear();
    EXPECT_EQ(reconcile(), kube::ReconcileResult::Kind::Done);
    EXPECT_EQ(client_.log, std::vector<std::string>{});
    EXPECT_EQ("app-" + current(), name);
    EXPECT_TRUE(read_config_map(client_.at("configmaps", name).dump())->intact)
        << "admission serves it";
  }
}

}  // namespace
}  // namespace gobuildenv::controllers
