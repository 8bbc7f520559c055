// ConfigMaps whose writes fail, through the reconciler: when it is told, and when not.
#include "reconciler_fixture.hpp"

namespace gobuildenv::controllers {
namespace {

using kube::ReconcileResult;
using nlohmann::json;
using std::chrono::seconds;
using Kind = kube::Error::Kind;
using Strings = std::vector<std::string>;

class FailingConfigMap : public testing::Reconciler {
 protected:
  /// From now on writes that begin with `entry` fail, each in other words.
  void fail(const std::string& entry, Kind kind, int code, std::string message) {
    client_.refuse = [this, entry, kind, code, message](const std::string& asked) {
      if (!asked.starts_with(entry)) return std::optional<kube::Error>();
      kube::Error error;
      error.kind = kind;
      error.code = code;
      error.message = message + (++tries_ % 2 == 0 ? ": connection refused" : ": EOF");
      return std::optional(error);
    };
  }
  void webhook_down(const std::string& entry = "create configmaps/") {
    fail(entry, Kind::Retry, 500,
         "Internal error occurred: failed calling webhook \"names.example\"");
  }
  /// Runs `times`, `apart`; true when each time it is left to the queue to try again.
  bool retries(int times, seconds apart) {
    for (; times > 0; --times) {
      if (run().kind != ReconcileResult::Kind::Retry) return false;
      clock_.advance(apart);
    }
    return true;
  }
  /// Another object of the same name.
  void make_anew() {
    json again{{"metadata", {{"name", "app"}, {"namespace", "ns"}, {"generation", 1}}},
               {"spec", {{"toolchain", {{"version", "1.22.3"}}}}}};
    show_environment(std::move(again));
    client_.log.clear();
    events_.events.clear();
  }

  int tries_ = 0;
};

TEST_F(FailingConfigMap, IsToldOnceItHasLasted) {
  webhook_down();
  EXPECT_TRUE(retries(12, seconds(2)));
  EXPECT_TRUE(client_.log.empty());
  EXPECT_TRUE(events_.events.empty());
  clock_.advance(seconds(6));

  ReconcileResult result = run();
  EXPECT_EQ(result.kind, ReconcileResult::Kind::RequeueAfter);
  EXPECT_EQ(result.after, seconds(10));
  EXPECT_EQ(client_.log, Strings{"update gobuildenvs/app/status"});
  EXPECT_EQ(status()["observedGeneration"], 1);
  EXPECT_EQ(condition("Ready")["status"], "False");
  EXPECT_EQ(condition("Stalled")["reason"], "ConfigMapFailed");
  EXPECT_NE(condition("Stalled")["message"].get<std::string>().find("names.example"),
            std::string::npos);
  ASSERT_EQ(events_.events.size(), 1u);
  EXPECT_TRUE(events_.events[0].warning);
  EXPECT_EQ(events_.events[0].reason, "ConfigMapFailed");

  // Whatever else brings it back before its time asks for nothing.
  EXPECT_EQ(tries_, 13);
  clock_.advance(seconds(4));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(run().after, seconds(6));
  EXPECT_EQ(tries_, 13);
  clock_.advance(seconds(6));

  for (const int wait : {20, 40, 80, 160, 300, 300}) {
    result = run();
    EXPECT_EQ(result.after, seconds(wait));
    clock_.advance(result.after);
  }
  EXPECT_EQ(tries_, 19);
  EXPECT_EQ(client_.log.size(), 1u) << "no write of any kind";
  EXPECT_EQ(events_.events.size(), 1u);

  client_.refuse = {};
  EXPECT_EQ(run().kind, ReconcileResult::Kind::Done);
  EXPECT_EQ(condition("Ready")["status"], "True");
  EXPECT_EQ(condition("Stalled")["status"], "absent");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(run().kind, ReconcileResult::Kind::Done);
  EXPECT_EQ(client_.log.size(), 3u);
}

TEST_F(FailingConfigMap, AFlickerIsToldToNobody) {
  struct Case {
    int times;
    int apart;
  };
  int patch = 0;
  for (const Case& flicker : {Case{1, 60}, Case{2, 60}, Case{14, 2}, Case{2, 60}}) {
    SCOPED_TRACE(::testing::Message()
                 << flicker.times << " times, " << flicker.apart << " s apart");
    const std::string version = "1.23." + std::to_string(++patch);
    edit({{"metadata", {{"generation", patch + 1}}},
          {"spec", {{"toolchain", {{"version", version}}}}}});
    client_.log.clear();
    events_.events.clear();
    webhook_down();
    EXPECT_TRUE(retries(flicker.times, seconds(flicker.apart)));
    client_.refuse = {};
    reconcile();
    EXPECT_EQ(client_.log,
              (Strings{"create configmaps/app-" + current(), "update gobuildenvs/app/status"}));
    EXPECT_EQ(condition("Ready")["status"], "True");
    for (const kube::Event& event : events_.events) EXPECT_EQ(event.reason, "RevisionServed");
  }
}

TEST_F(FailingConfigMap, FailuresWithSuccessBetweenThemAreNotInARow) {
  webhook_down("create configmaps/mine");
  edit({{"metadata", {{"generation", 2}}}, {"spec", {{"export", {{"configMapName", "mine"}}}}}});
  EXPECT_TRUE(retries(1, seconds(60)));
  // The write was done in spite of its answer, or somebody else has led for a while.
  client_.refuse = {};
  EnvironmentReconciler other(client_, {environments_, config_maps_, pods_, chosen_}, resolver_,
                              events_, clock_, options());
  EXPECT_EQ(other.reconcile({"ns", "app"}).kind, ReconcileResult::Kind::Done);
  EXPECT_EQ(run().kind, ReconcileResult::Kind::Done);

  json& mine = client_.at("configmaps", "mine");
  mine["data"]["CGO_ENABLED"] = "7";
  config_maps_.observe_write(client_.touch(mine));
  webhook_down("update configmaps/mine");
  EXPECT_TRUE(retries(2, seconds(60)));
  EXPECT_EQ(condition("Exported")["status"], "True");
  EXPECT_EQ(run().kind, ReconcileResult::Kind::RequeueAfter);
  EXPECT_EQ(condition("Exported")["status"], "False");
}

TEST_F(FailingConfigMap, ANewGenerationCountsAnew) {
  webhook_down();
  EXPECT_TRUE(retries(2, seconds(60)));
  edit({{"metadata", {{"generation", 2}}}, {"spec", {{"toolchain", {{"version", "1.23.1"}}}}}});
  EXPECT_TRUE(retries(2, seconds(60)));
  EXPECT_EQ(run().kind, ReconcileResult::Kind::RequeueAfter);
}

TEST_F(FailingConfigMap, AnExportLeavesTheEnvironmentReady) {
  webhook_down("create configmaps/mine");
  edit({{"metadata", {{"generation", 2}}}, {"spec", {{"export", {{"configMapName", "mine"}}}}}});
  EXPECT_TRUE(retries(2, seconds(20)));
  EXPECT_EQ(run().after, seconds(10));
  EXPECT_EQ(client_.log,
            (Strings{"create configmaps/app-" + current(), "update gobuildenvs/app/status"}));
  EXPECT_EQ(condition("Ready")["status"], "True");
  EXPECT_EQ(condition("Stalled")["status"], "absent");
  EXPECT_EQ(condition("Exported")["reason"], "ConfigMapFailed");
  EXPECT_EQ(status()["history"][0]["uid"],
            client_.at("configmaps", "app-" + current())["metadata"]["uid"]);
  EXPECT_EQ(events_.events.size(), 1u);
  client_.refuse = {};
  clock_.advance(seconds(10));
  EXPECT_EQ(run().kind, ReconcileResult::Kind::Done);
  EXPECT_EQ(condition("Exported")["status"], "True");
}

TEST_F(FailingConfigMap, AFailureAfterARefusalChangesNothingUntilItLasts) {
  fail("create configmaps/", Kind::Forbidden, 403, "exceeded quota: few");
  EXPECT_EQ(run().after, seconds(10));
  EXPECT_EQ(condition("Stalled")["reason"], "ConfigMapRefused");
  webhook_down();
  for (const int wait : {20, 40}) {
    clock_.advance(seconds(300));
    EXPECT_EQ(run().after, seconds(wait));
    EXPECT_EQ(condition("Stalled")["reason"], "ConfigMapRefused");
  }
  EXPECT_EQ(client_.log.size(), 1u);
  clock_.advance(seconds(40));
  EXPECT_EQ(run().after, seconds(80));
  EXPECT_EQ(condition("Stalled")["reason"], "ConfigMapFailed");
  EXPECT_EQ(client_.log.size(), 2u);
  fail("create configmaps/", Kind::Forbidden, 403, "exceeded quota: few");
  clock_.advance(seconds(80));
  EXPECT_EQ(run().after, seconds(160));
  EXPECT_EQ(condition("Stalled")["reason"], "ConfigMapRefused") << "an answer is told at once";
}

TEST_F(FailingConfigMap, AManagerThatStartsAnewWritesNothing) {
  webhook_down();
  EXPECT_TRUE(retries(2, seconds(20)));
  run();
  ASSERT_EQ(client_.log.size(), 1u);
  EnvironmentReconciler other(client_, {environments_, config_maps_, pods_, chosen_}, resolver_,
                              events_, clock_, options());
  for (int i = 0; i < 5; ++i) {
    other.reconcile({"ns", "app"});
    clock_.advance(seconds(20));
  }
  EXPECT_EQ(client_.log.size(), 1u);
  EXPECT_EQ(events_.events.size(), 1u);
  EXPECT_EQ(condition("Stalled")["reason"], "ConfigMapFailed");
}

TEST_F(FailingConfigMap, EveryFailureCounts) {
  struct Case {
    Kind kind;
    int code;
  };
  for (const Case& test : {Case{Kind::Retry, 0}, Case{Kind::Retry, 429}, Case{Kind::Retry, 503},
                           Case{Kind::NotFound, 404}, Case{Kind::Conflict, 409},
                           Case{Kind::Gone, 410}, Case{Kind::Forbidden, 401}}) {
    SCOPED_TRACE(test.code);
    make_anew();
    fail("create configmaps/", test.kind, test.code, "failed");
    EXPECT_TRUE(retries(2, seconds(20)));
    EXPECT_TRUE(client_.log.empty());
    EXPECT_EQ(run().kind, ReconcileResult::Kind::RequeueAfter);
    EXPECT_EQ(condition("Stalled")["reason"], "ConfigMapFailed");
    EXPECT_EQ(events_.events.size(), 1u);
  }
}

TEST_F(FailingConfigMap, ItsOwnStopAndATerminatingNamespaceAreNoFailures) {
  struct Case {
    Kind kind;
    const char* message;
    ReconcileResult::Kind result;
  };
  for (const Case& test :
       {Case{Kind::ShuttingDown, "the lease is lost", ReconcileResult::Kind::Done},
        Case{Kind::Forbidden, "namespace ns because it is being terminated",
             ReconcileResult::Kind::Final}}) {
    make_anew();
    fail("create configmaps/", test.kind, 0, test.message);
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(run().kind, test.result);
      clock_.advance(seconds(60));
    }
    EXPECT_TRUE(client_.log.empty());
    EXPECT_TRUE(events_.events.empty());
  }
}

}  // namespace
}  // namespace gobuildenv::controllers
