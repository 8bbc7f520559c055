// ConfigMaps that the API server refuses, through the reconciler.
#include "controllers/outcome.hpp"
#include "goenv/names.hpp"
#include "reconciler_fixture.hpp"

namespace gobuildenv::controllers {
namespace {

using kube::ReconcileResult;
using nlohmann::json;
using std::chrono::seconds;
using Kind = kube::Error::Kind;

class RefusedConfigMap : public testing::Reconciler {
 protected:
  /// From now on writes that begin with `entry` get this answer, with the number of the try.
  void refuse(const std::string& entry, int code, std::string message) {
    client_.refuse = [this, entry, code, message](const std::string& asked) {
      if (!asked.starts_with(entry)) return std::optional<kube::Error>();
      ++tries_;
      kube::Error error;
      error.kind = code == 422 ? Kind::Invalid : Kind::Forbidden;
      error.code = code;
      error.message = message + ", used: count/configmaps=" + std::to_string(tries_);
      return std::optional(error);
    };
  }

  int tries_ = 0;
};

TEST_F(RefusedConfigMap, IsToldOnceAndTriedAgainEverLater) {
  for (const int code : {403, 422}) {
    SCOPED_TRACE(code);
    const std::int64_t generation = code;
    edit({{"metadata", {{"generation", generation}}},
          {"spec", {{"toolchain", {{"version", code == 403 ? "1.23.1" : "1.23.2"}}}}}});
    refuse("create configmaps/", code, "exceeded quota: few");
    client_.log.clear();
    events_.events.clear();
    tries_ = 0;
    ReconcileResult result = run();
    EXPECT_EQ(result.kind, ReconcileResult::Kind::RequeueAfter);
    EXPECT_EQ(result.after, seconds(10));
    EXPECT_EQ(client_.log, std::vector<std::string>{"update gobuildenvs/app/status"});
    EXPECT_EQ(status()["observedGeneration"], generation);
    EXPECT_EQ(condition("Ready")["status"], "False");
    EXPECT_EQ(condition("Ready")["reason"], "ConfigMapRefused");
    EXPECT_EQ(condition("Stalled")["status"], "True");
    EXPECT_NE(condition("Stalled")["message"].get<std::string>().find("exceeded quota: few"),
              std::string::npos);
    ASSERT_EQ(events_.events.size(), 1u);
    EXPECT_TRUE(events_.events[0].warning);
    EXPECT_EQ(events_.events[0].reason, "ConfigMapRefused");

    // Whatever else brings it back before its time asks for nothing.
    clock_.advance(seconds(4));
    for (int i = 0; i < 5; ++i) EXPECT_EQ(run().after, seconds(6));
    EXPECT_EQ(tries_, 1);
    clock_.advance(seconds(6));

    for (const int wait : {20, 40, 80, 160, 300, 300, 300}) {
      result = run();
      EXPECT_EQ(result.kind, ReconcileResult::Kind::RequeueAfter);
      EXPECT_EQ(result.after, seconds(wait));
      clock_.advance(result.after);
    }
    EXPECT_EQ(tries_, 8);
    EXPECT_EQ(client_.log.size(), 1u) << "no write of any kind";
    EXPECT_EQ(events_.events.size(), 1u);
    EXPECT_EQ(client_.gets, 0);

    client_.refuse = {};
    EXPECT_EQ(run().kind, ReconcileResult::Kind::Done);
    EXPECT_EQ(condition("Ready")["status"], "True");
    EXPECT_EQ(condition("Stalled")["status"], "absent");
    EXPECT_EQ(client_.log.size(), 3u);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(run().kind, ReconcileResult::Kind::Done);
    EXPECT_EQ(client_.log.size(), 3u);
  }
}

TEST_F(RefusedConfigMap, AnEditIsTriedAtOnceAndTheOldRevisionServesMeanwhile) {
  reconcile();
  const std::string old = current();
  refuse("create configmaps/", 403, "exceeded quota: few");
  for (const int generation : {2, 3}) {
    edit({{"metadata", {{"generation", generation}}},
          {"spec", {{"toolchain", {{"version", "1.23." + std::to_string(generation)}}}}}});
    EXPECT_EQ(run().after, seconds(10));
    EXPECT_EQ(status()["observedGeneration"], generation);
    EXPECT_EQ(current(), old);
  }
  EXPECT_EQ(tries_, 2);
  EXPECT_TRUE(client_.has("configmaps", "app-" + old));
  edit({{"metadata", {{"generation", 4}}}, {"spec", {{"toolchain", {{"version", "1.22.3"}}}}}});
  EXPECT_EQ(run().kind, ReconcileResult::Kind::Done);
  EXPECT_EQ(condition("Ready")["status"], "True");
  EXPECT_EQ(tries_, 2);
}

TEST_F(RefusedConfigMap, AnotherObjectOfTheNameIsTriedAtOnce) {
  refuse("create configmaps/", 403, "exceeded quota: few");
  run();
  json again = client_.at("gobuildenvs", "app");
  again.erase("status");
  show_environment(again);  // a new uid, generation 1 as well
  run();
  EXPECT_EQ(tries_, 2);
}

TEST_F(RefusedConfigMap, AnExportLeavesTheEnvironmentReady) {
  refuse("create configmaps/mine", 403, "exceeded quota: few");
  edit({{"metadata", {{"generation", 2}}}, {"spec", {{"export", {{"configMapName", "mine"}}}}}});
  EXPECT_EQ(run().after, seconds(10));
  EXPECT_EQ(client_.log, (std::vector<std::string>{"create configmaps/app-" + current(),
                                                   "update gobuildenvs/app/status"}))
      << "deciding again makes no second revision";
  EXPECT_EQ(client_.gets, 0);
  EXPECT_EQ(status()["history"][0]["uid"],
            client_.at("configmaps", "app-" + current())["metadata"]["uid"]);
  EXPECT_EQ(condition("Ready")["status"], "True");
  EXPECT_EQ(condition("Exported")["status"], "False");
  EXPECT_EQ(condition("Exported")["reason"], "ConfigMapRefused");
  EXPECT_EQ(events_.events.size(), 1u);
  clock_.advance(seconds(10));
  EXPECT_EQ(run().after, seconds(20));
  EXPECT_EQ(client_.log.size(), 2u);

  clock_.advance(seconds(20));
  client_.refuse = {};
  EXPECT_EQ(run().kind, ReconcileResult::Kind::Done);
  EXPECT_EQ(condition("Exported")["status"], "True");

  // And the update of one that somebody made immutable.
  refuse("update configmaps/mine", 422, "data: Forbidden: field is immutable when `immutable`");
  edit({{"metadata", {{"generation", 3}}}, {"spec", {{"cgo", {{"policy", "Enabled"}}}}}});
  EXPECT_EQ(run().after, seconds(10));
  EXPECT_EQ(condition("Ready")["status"], "True");
  EXPECT_NE(condition("Exported")["message"].get<std::string>().find("field is immutable"),
            std::string::npos);
}

TEST_F(RefusedConfigMap, LabelsThatCannotBeGivenBackAreToldToo) {
  reconcile();
  client_.at("configmaps", "app-" + current())["metadata"].erase("labels");
  kube::Informer<ConfigMapRecord> blind(runtime_, {}, decode_config_map, {config_map_index()});
  testing::sync(blind);
  EnvironmentReconciler other(client_, {environments_, blind, pods_, chosen_}, resolver_, events_,
                              clock_, options());
  refuse("patch configmaps/", 403, "no labels here");
  EXPECT_EQ(other.reconcile({"ns", "app"}).after, seconds(10));
  EXPECT_EQ(condition("Stalled")["reason"], "ConfigMapRefused");
  EXPECT_EQ(tries_, 1);
}

TEST_F(RefusedConfigMap, OtherFailuresAreNone) {
  struct Case {
    int code;
    const char* message;
    ReconcileResult::Kind kind;
  };
  for (const Case& test :
       {Case{401, "Unauthorized", ReconcileResult::Kind::Retry},
        Case{403, "unable to create new content in namespace ns because it is being terminated",
             ReconcileResult::Kind::Final}}) {
    refuse("create configmaps/", test.code, test.message);
    EXPECT_EQ(run().kind, test.kind) << test.message;
    EXPECT_TRUE(client_.log.empty()) << test.message;
    EXPECT_TRUE(events_.events.empty()) << test.message;
  }
}

TEST_F(RefusedConfigMap, ARefusedStatusIsToldByAnEventAndTriedAgain) {
  for (const int code : {403, 422}) {
    SCOPED_TRACE(code);
    edit({{"metadata", {{"generation", code}}},
          {"spec", {{"toolchain", {{"version", code == 403 ? "1.23.1" : "1.23.2"}}}}}});
    refuse("update gobuildenvs/", code, "denied by policy keep-status");
    client_.log.clear();
    events_.events.clear();
    const ReconcileResult result = run();
    EXPECT_EQ(result.kind, ReconcileResult::Kind::Retry) << "counted as an error";
    EXPECT_EQ(result.after, seconds(300));
    EXPECT_EQ(client_.log.size(), 1u) << "the ConfigMap only";
    ASSERT_EQ(events_.events.size(), 1u);
    EXPECT_TRUE(events_.events[0].warning);
    EXPECT_EQ(events_.events[0].reason, "StatusRefused");
    EXPECT_NE(events_.events[0].note.find("keep-status"), std::string::npos);

    client_.refuse = {};
    EXPECT_EQ(reconcile(), ReconcileResult::Kind::Done);
    EXPECT_EQ(condition("Ready")["status"], "True");
    EXPECT_EQ(status()["observedGeneration"], code);
  }
}

TEST_F(RefusedConfigMap, AStatusThatFailsIsNoRefusal) {
  client_.refuse = [](const std::string& asked) {
    if (!asked.starts_with("update gobuildenvs/")) return std::optional<kube::Error>();
    kube::Error error;
    error.kind = Kind::Conflict;
    error.code = 409;
    return std::optional(error);
  };
  const ReconcileResult result = run();
  EXPECT_EQ(result.kind, ReconcileResult::Kind::Retry);
  EXPECT_EQ(result.after, seconds(0));
  EXPECT_TRUE(events_.events.empty());
}

}  // namespace
}  // namespace gobuildenv::controllers
