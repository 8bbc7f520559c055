#include "controllers/gobuildenv/decide.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "controllers/gobuildenv/export.hpp"
#include "controllers/gobuildenv/status.hpp"
#include "facts.hpp"
#include "goenv/pod_plan.hpp"
#include "goenv/revision.hpp"

namespace gobuildenv::controllers {
namespace {

using crds::ConditionStatus;
using testing::new_environment;
using testing::spec_of;
using testing::step;
using Need = EnvironmentDecision::Need;
using State = ToolchainAnswer::State;

ConditionStatus status_of(const crds::Status& status, std::string_view type) {
  const crds::Condition* found = status.find(type);
  return found == nullptr ? ConditionStatus::Unknown : found->status;
}

std::string reason_of(const crds::Status& status, std::string_view type) {
  const crds::Condition* found = status.find(type);
  return found == nullptr ? "" : found->reason;
}

ConfigMapFact& fact(EnvironmentFacts& facts, const std::string& hash) {
  for (ConfigMapFact& entry : facts.config_maps) {
    if (entry.hash == hash) return entry;
  }
  throw std::runtime_error("no ConfigMap " + hash);
}

/// Ready with generation 1.
EnvironmentFacts served(goenv::Spec spec = spec_of("1.22.3")) {
  EnvironmentFacts facts = new_environment(std::move(spec));
  step(facts);
  EXPECT_TRUE(decide(facts, testing::options()).quiet());
  return facts;
}

TEST(Decide, NewObjectTakesOneConfigMapAndOneStatusWrite) {
  EnvironmentFacts facts = new_environment(spec_of("1.22.3"));
  const EnvironmentDecision first = step(facts);
  ASSERT_EQ(first.creates.size(), 1u);
  ASSERT_TRUE(first.status);
  EXPECT_TRUE(first.deletes.empty());
  EXPECT_TRUE(first.events.empty()) << "10,000 new objects must not make 10,000 Events";
  const crds::Status& status = *first.status;
  EXPECT_EQ(status.observed_generation, 1);
  EXPECT_EQ(status.current, first.creates[0].hash);
  EXPECT_EQ(status.updated, status.current);
  EXPECT_EQ(first.creates[0].name, "app-" + status.current);
  EXPECT_EQ(status_of(status, crds::kReady), ConditionStatus::True);
  EXPECT_EQ(status_of(status, crds::kToolchainResolved), ConditionStatus::True);
  EXPECT_EQ(status.find(crds::kReconciling), nullptr);
  EXPECT_EQ(status.find(crds::kStalled), nullptr);
  EXPECT_EQ(status.toolchain.version, "1.22.3");
  ASSERT_EQ(status.history.size(), 1u);
  EXPECT_EQ(status.history[0].toolchain, "1.22.3");
  EXPECT_EQ(status.history[0].superseded_at, "");
  EXPECT_TRUE(decide(facts, testing::options()).quiet());
}

TEST(Decide, SettledObjectNeedsNoSpec) {
  EnvironmentFacts facts = served();
  facts.spec.reset();
  facts.now += 100'000'000;
  const EnvironmentDecision decision = decide(facts, testing::options());
  EXPECT_TRUE(decision.quiet());
  EXPECT_FALSE(decision.recheck);
}

TEST(Decide, AsksForTheSpecOfANewGeneration) {
  EnvironmentFacts facts = served();
  facts.spec.reset();
  facts.generation = 2;
  EXPECT_EQ(decide(facts, testing::options()).need, Need::Spec);
}

TEST(Decide, EditMakesANewRevisionAndKeepsTheOldOne) {
  EnvironmentFacts facts = served();
  const std::string old = facts.status.current;
  facts.generation = 2;
  facts.now += 10;
  facts.spec = spec_of("1.23.1");
  const EnvironmentDecision edit = step(facts);
  EXPECT_EQ(edit.creates.size(), 1u);
  EXPECT_TRUE(edit.deletes.empty());
  ASSERT_EQ(edit.events.size(), 1u);
  EXPECT_EQ(edit.events[0].reason, "RevisionServed");
  EXPECT_NE(facts.status.current, old);
  ASSERT_EQ(facts.status.history.size(), 2u);
  EXPECT_EQ(facts.status.history[1].name, old);
  EXPECT_EQ(facts.status.history[1].superseded_at, format_time(facts.now));
  EXPECT_TRUE(decide(facts, testing::options()).quiet());

  // And back: the old ConfigMap serves again, nothing is created.
  facts.generation = 3;
  facts.spec = spec_of("1.22.3");
  const EnvironmentDecision back = step(facts);
  EXPECT_TRUE(back.creates.empty());
  EXPECT_EQ(facts.status.current, old);
  EXPECT_EQ(facts.status.history.size(), 2u);
  EXPECT_EQ(facts.status.history[0].superseded_at, "");
}

TEST(Decide, EditWithoutEffectOnTheRenderingOnlyObserves) {
  EnvironmentFacts facts = served();
  facts.generation = 2;
  facts.history_limit = 7;
  facts.spec->revision_history_limit = 7;
  const EnvironmentDecision decision = step(facts);
  EXPECT_TRUE(decision.creates.empty());
  EXPECT_TRUE(decision.events.empty());
  ASSERT_TRUE(decision.status);
  EXPECT_EQ(decision.status->observed_generation, 2);
  EXPECT_EQ(decision.status->find(crds::kReady)->observed_generation, 2);
}

TEST(Decide, InvalidSpecStallsAndTheOldRevisionServes) {
  EnvironmentFacts facts = served();
  const std::string old = facts.status.current;
  facts.generation = 2;
  facts.spec = spec_of("nonsense");
  const EnvironmentDecision decision = step(facts);
  EXPECT_TRUE(decision.creates.empty());
  EXPECT_EQ(facts.status.current, old);
  EXPECT_EQ(facts.status.observed_generation, 2);
  EXPECT_EQ(status_of(facts.status, crds::kStalled), ConditionStatus::True);
  EXPECT_EQ(reason_of(facts.status, crds::kReady), "InvalidSpec");
  EXPECT_EQ(status_of(facts.status, crds::kReady), ConditionStatus::False);
  EXPECT_NE(facts.status.find(crds::kStalled)->message.find("spec.toolchain.version"),
            std::string::npos);
  EXPECT_NE(facts.status.find(crds::kReady)->message.find(old + " keeps serving"),
            std::string::npos);
  ASSERT_EQ(decision.events.size(), 1u);
  EXPECT_TRUE(decision.events[0].warning);
  EXPECT_TRUE(decide(facts, testing::options()).quiet());

  facts.generation = 3;
  facts.spec = spec_of("1.22.3");
  step(facts);
  EXPECT_EQ(facts.status.find(crds::kStalled), nullptr);
  EXPECT_EQ(status_of(facts.status, crds::kReady), ConditionStatus::True);
}

TEST(Decide, UndecodableSpecStalls) {
  EnvironmentFacts facts = new_environment({});
  facts.spec.reset();
  facts.spec_errors = {{"spec.cgo.policy", "Maybe", "write Disabled, Enabled or Auto"}};
  step(facts);
  EXPECT_EQ(status_of(facts.status, crds::kStalled), ConditionStatus::True);
  EXPECT_TRUE(decide(facts, testing::options()).quiet());
}

TEST(Decide, WhatWasAcceptedOnceIsRepairedThoughANewerRuleRefusesIt) {
  EnvironmentFacts facts = served();
  facts.spec->variables["LD_PRELOAD"] = "/x.so";  // refused by validate()
  ASSERT_FALSE(goenv::validate(*facts.spec).empty());
  facts.config_maps.clear();
  const EnvironmentDecision decision = step(facts);
  EXPECT_EQ(decision.creates.size(), 1u);
  EXPECT_EQ(status_of(facts.status, crds::kReady), ConditionStatus::True);
}

TEST(Decide, TransitionTimeIsKeptWhileTheStatusIsTheSame) {
  EnvironmentFacts facts = served();
  const std::string then = facts.status.find(crds::kReady)->last_transition_time;
  EXPECT_EQ(then, format_time(facts.now));
  facts.now += 500;
  facts.generation = 2;
  facts.spec = spec_of("1.23.0");
  step(facts);
  EXPECT_EQ(facts.status.find(crds::kReady)->last_transition_time, then);
  facts.generation = 3;
  facts.spec = spec_of("x");
  step(facts);
  EXPECT_EQ(facts.status.find(crds::kReady)->last_transition_time, format_time(facts.now));
}

TEST(Decide, ConditionsOfOthersStay) {
  EnvironmentFacts facts = new_environment(spec_of("1.22.3"));
  facts.status.conditions.push_back(
      {"Audited", ConditionStatus::True, 1, "2026-01-01T00:00:00Z", "ByHand", "looked at"});
  step(facts);
  ASSERT_NE(facts.status.find("Audited"), nullptr);
  EXPECT_EQ(facts.status.find("Audited")->message, "looked at");
}

TEST(Decide, DeletedObjectIsLeftAlone) {
  EnvironmentFacts facts = served();
  facts.deleting = true;
  facts.generation = 2;
  facts.config_maps.clear();
  EXPECT_TRUE(decide(facts, testing::options()).quiet());
}

// --- what others do to generated objects ---------------------------------------------------------

TEST(Decide, DeletedConfigMapComesBackUnderItsName) {
  EnvironmentFacts facts = served();
  const std::string name = facts.config_maps[0].name;
  facts.config_maps.clear();
  const EnvironmentDecision decision = step(facts);
  ASSERT_EQ(decision.creates.size(), 1u);
  EXPECT_EQ(decision.creates[0].name, name) << "pods that wait for it name it";
  // Nobody can tell it from the first one, so running pods, whose kubelets keep that one, do not
  // differ from those that start now.
  EXPECT_EQ(goenv::content_hash(decision.creates[0].data, decision.creates[0].salt,
                                testing::options().sha256),
            facts.status.current);
  EXPECT_EQ(facts.status.history[0].uid, facts.config_maps[0].uid) << "the new one is vouched for";
  EXPECT_TRUE(decide(facts, testing::options()).quiet());
}

TEST(Decide, TamperedConfigMapIsReplacedUnderASaltedName) {
  EnvironmentFacts facts = served();
  const std::string old = facts.status.current;
  facts.config_maps[0].intact = false;
  const EnvironmentDecision decision = step(facts);
  ASSERT_EQ(decision.creates.size(), 1u);
  EXPECT_EQ(decision.creates[0].salt, "1");
  EXPECT_NE(decision.creates[0].hash, old);
  ASSERT_EQ(decision.deletes.size(), 1u);
  EXPECT_EQ(decision.deletes[0].name, "app-" + old);
  EXPECT_FALSE(decision.deletes[0].uid.empty());
  EXPECT_EQ(decision.events[0].reason, "RevisionTampered");
  EXPECT_EQ(facts.status.history.size(), 1u);
  EXPECT_TRUE(decide(facts, testing::options()).quiet());

  // A later edit without effect does not go back to the unsalted name.
  facts.generation = 2;
  const EnvironmentDecision edit = step(facts);
  EXPECT_TRUE(edit.creates.empty());
  // The salted one is spoilt as well.
  facts.config_maps[0].intact = false;
  ASSERT_EQ(step(facts).creates.size(), 1u);
  EXPECT_TRUE(decide(facts, testing::options()).quiet());
}

TEST(Decide, ConfigMapOfOthersIsNeverTouched) {
  for (const Ownership ownership : {Ownership::Foreign, Ownership::Previous}) {
    EnvironmentFacts facts = new_environment(spec_of("1.22.3"));
    EnvironmentFacts probe = facts;
    const EnvironmentDecision plain = step(probe);
    ConfigMapFact taken = probe.config_maps[0];
    taken.ownership = ownership;
    taken.uid = "theirs";
    facts.config_maps.push_back(taken);
    const EnvironmentDecision decision = step(facts);
    EXPECT_TRUE(decision.deletes.empty());
    ASSERT_EQ(decision.creates.size(), 1u);
    EXPECT_NE(decision.creates[0].name, plain.creates[0].name);
    EXPECT_EQ(decision.events.size(), ownership == Ownership::Foreign ? 1u : 0u);
    EXPECT_EQ(status_of(facts.status, crds::kReady), ConditionStatus::True);
    const EnvironmentDecision after = decide(facts, testing::options());
    EXPECT_TRUE(after.quiet());
  }
}

// --- toolchain versions --------------------------------------------------------------------------

TEST(Decide, NeedsResolutionOnlyForRangesThatHavePatches) {
  EXPECT_TRUE(needs_resolution("1.22"));
  EXPECT_TRUE(needs_resolution("1.21"));
  EXPECT_FALSE(needs_resolution("1.22.3"));
  EXPECT_FALSE(needs_resolution("1.20"));
  EXPECT_FALSE(needs_resolution("1.21rc2"));
  EXPECT_FALSE(needs_resolution("nonsense"));
}

ToolchainAnswer resolved(std::string version) {
  return {State::Resolved, std::move(version), {}, {}, 0};
}
ToolchainAnswer unreachable() {
  return {State::Failed, {}, "ProxyUnreachable", "1.22: connection refused", 7};
}

TEST(Decide, RangeIsAskedOnceAndPinned) {
  EnvironmentFacts facts = new_environment(spec_of("1.22"));
  EnvironmentDecision decision = decide(facts, testing::options());
  EXPECT_EQ(decision.need, Need::Toolchain);
  EXPECT_EQ(decision.toolchain_request, "1.22");
  EXPECT_FALSE(decision.fresh_toolchain);
  facts.answer = ToolchainAnswer{};
  EXPECT_TRUE(decide(facts, testing::options()).quiet()) << "nothing to say while it is asked";
  facts.answer = resolved("1.22.5");
  step(facts);
  EXPECT_EQ(facts.status.toolchain.version, "1.22.5");
  EXPECT_EQ(facts.status.toolchain.requested, "1.22");
  EXPECT_EQ(facts.config_maps.size(), 1u);

  // An edit elsewhere keeps the pin, and so does a restart.
  facts.answer.reset();
  EXPECT_TRUE(decide(facts, testing::options()).quiet());
  facts.generation = 2;
  facts.spec->flags = {"-trimpath"};
  EXPECT_EQ(step(facts).need, Need::Nothing);
  EXPECT_EQ(facts.status.toolchain.version, "1.22.5");
}

TEST(Decide, FailedResolutionKeepsWhatWorked) {
  EnvironmentFacts facts = served();
  const std::string old = facts.status.current;
  facts.generation = 2;
  facts.spec = spec_of("1.22");
  facts.answer = unreachable();
  const EnvironmentDecision decision = step(facts);
  EXPECT_TRUE(decision.creates.empty());
  EXPECT_EQ(facts.status.current, old);
  EXPECT_EQ(status_of(facts.status, crds::kToolchainResolved), ConditionStatus::False);
  EXPECT_EQ(reason_of(facts.status, crds::kToolchainResolved), "ProxyUnreachable");
  EXPECT_EQ(status_of(facts.status, crds::kReconciling), ConditionStatus::True);
  EXPECT_EQ(facts.status.find(crds::kStalled), nullptr);
  EXPECT_EQ(decision.recheck, 7);
  ASSERT_EQ(decision.events.size(), 1u);
  EXPECT_EQ(decision.events[0].reason, "ProxyUnreachable");
  // Failing again is no news and no write, but another try.
  const EnvironmentDecision again = decide(facts, testing::options());
  EXPECT_TRUE(again.quiet());
  EXPECT_TRUE(again.events.empty());
  EXPECT_EQ(again.recheck, 7);
  facts.answer = resolved("1.22.9");
  step(facts);
  EXPECT_EQ(status_of(facts.status, crds::kReady), ConditionStatus::True);
  EXPECT_EQ(facts.status.find(crds::kReconciling), nullptr);
}

TEST(Decide, NoProxyStalls) {
  EnvironmentFacts facts = new_environment(spec_of("1.22"));
  facts.answer = {State::Final, {}, "NoProxyConfigured", "start it with --module-proxy", 0};
  step(facts);
  EXPECT_EQ(reason_of(facts.status, crds::kStalled), "NoProxyConfigured");
  EXPECT_EQ(reason_of(facts.status, crds::kToolchainResolved), "NoProxyConfigured");
  EXPECT_TRUE(decide(facts, testing::options()).quiet());
}

TEST(Decide, ResolveAnnotationAsksAfresh) {
  EnvironmentFacts facts = new_environment(spec_of("1.22"));
  facts.answer = resolved("1.22.5");
  step(facts);
  const std::string old = facts.status.current;
  facts.answer.reset();
  facts.resolve = "now";
  EnvironmentDecision decision = decide(facts, testing::options());
  EXPECT_EQ(decision.need, Need::Toolchain);
  EXPECT_TRUE(decision.fresh_toolchain);

  EnvironmentFacts failing = facts;
  failing.answer = unreachable();
  step(failing);
  EXPECT_EQ(status_of(failing.status, crds::kReady), ConditionStatus::True)
      << "what serves is not worse for it";
  EXPECT_EQ(failing.status.find(crds::kReconciling), nullptr) << "nobody waits for it";
  EXPECT_EQ(status_of(failing.status, crds::kToolchainResolved), ConditionStatus::False);
  failing.resolve = "";  // taken back
  failing.answer.reset();
  failing.spec.reset();
  step(failing);
  EXPECT_EQ(status_of(failing.status, crds::kToolchainResolved), ConditionStatus::True);
  EXPECT_EQ(failing.status.find(crds::kReconciling), nullptr);

  EnvironmentFacts same = facts;
  same.answer = resolved("1.22.5");
  EXPECT_TRUE(step(same).creates.empty());
  EXPECT_EQ(same.status.toolchain.resolve_token, "now");
  EXPECT_TRUE(decide(same, testing::options()).quiet());

  facts.answer = resolved("1.22.6");
  facts.spec.reset();
  EXPECT_EQ(decide(facts, testing::options()).need, Need::Spec);
  facts.spec = spec_of("1.22");
  EXPECT_EQ(step(facts).creates.size(), 1u);
  EXPECT_NE(facts.status.current, old);
  EXPECT_EQ(facts.status.toolchain.version, "1.22.6");
  facts.answer.reset();
  EXPECT_TRUE(decide(facts, testing::options()).quiet());
}

TEST(Decide, ResolveAnnotationOfAnExactVersionIsOnlyNoted) {
  EnvironmentFacts facts = served();
  facts.resolve = "now";
  facts.spec.reset();
  const EnvironmentDecision decision = step(facts);
  EXPECT_TRUE(decision.creates.empty());
  EXPECT_EQ(facts.status.toolchain.resolve_token, "now");
  EXPECT_TRUE(decide(facts, testing::options()).quiet());
}

// --- old revisions -------------------------------------------------------------------------------

/// Five edits, a minute apart; the newest is current.
EnvironmentFacts with_history(std::int32_t limit) {
  EnvironmentFacts facts = served();
  facts.history_limit = limit;
  for (int i = 0; i < 5; ++i) {
    ++facts.generation;
    facts.now += 60;
    facts.spec = spec_of("1.23." + std::to_string(i));
    step(facts);
  }
  EXPECT_EQ(facts.config_maps.size(), 6u) << "none is removed within an hour";
  return facts;
}

TEST(Decide, OldRevisionsGoAfterAnHourBeyondTheLimit) {
  EnvironmentFacts facts = with_history(3);
  const EnvironmentDecision waiting = decide(facts, testing::options());
  EXPECT_TRUE(waiting.quiet());
  ASSERT_TRUE(waiting.recheck);
  facts.now += *waiting.recheck;
  EXPECT_EQ(step(facts).deletes.size(), 1u) << "the oldest";
  facts.now += 3600;
  step(facts);
  EXPECT_EQ(facts.config_maps.size(), 4u);
  EXPECT_EQ(facts.status.history.size(), 4u);
  const EnvironmentDecision after = decide(facts, testing::options());
  EXPECT_TRUE(after.quiet());
  EXPECT_FALSE(after.recheck);
}

TEST(Decide, RevisionsOfUnfinishedPodsStay) {
  EnvironmentFacts facts = with_history(0);
  const std::string oldest = facts.status.history.back().name;
  facts.pods.in_use = {oldest};
  facts.now += 7200;
  step(facts);
  EXPECT_EQ(facts.config_maps.size(), 2u);
  EXPECT_EQ(fact(facts, oldest).hash, oldest);
  EXPECT_TRUE(decide(facts, testing::options()).quiet());
  facts.pods.in_use.clear();
  step(facts);
  EXPECT_EQ(facts.config_maps.size(), 1u);
}

TEST(Decide, RevisionWhoseStatusWriteWasLostIsRemovedWhenOld) {
  EnvironmentFacts facts = served();
  ConfigMapFact orphan = facts.config_maps[0];
  orphan.hash = "0123456789";
  orphan.name = "app-0123456789";
  orphan.created = facts.now;
  facts.config_maps.push_back(orphan);
  EXPECT_TRUE(decide(facts, testing::options()).quiet());
  facts.now += 3600;
  EXPECT_EQ(step(facts).deletes.size(), 1u);
  EXPECT_TRUE(decide(facts, testing::options()).quiet());
}

// --- pod counts ----------------------------------------------------------------------------------

TEST(Decide, PodCountsWaitUntilTheyAreDue) {
  EnvironmentFacts facts = served();
  facts.pods.injected = 2;
  facts.pods.missed = 1;
  facts.counts_due = false;
  const EnvironmentDecision early = decide(facts, testing::options());
  EXPECT_TRUE(early.quiet());
  EXPECT_EQ(early.recheck, 30);
  facts.counts_due = true;
  step(facts);
  EXPECT_EQ(facts.status.pods_injected, 2);
  EXPECT_EQ(facts.status.pods_missed, 1);
  EXPECT_TRUE(decide(facts, testing::options()).quiet());
}

// --- export --------------------------------------------------------------------------------------

TEST(Decide, ExportFollowsTheRevision) {
  EnvironmentFacts facts = new_environment(spec_of("1.22.3"));
  facts.export_name = "go-env";
  const EnvironmentDecision first = step(facts);
  ASSERT_EQ(first.creates.size(), 2u);
  EXPECT_TRUE(first.creates[1].is_export);
  EXPECT_EQ(first.creates[1].data.at("CGO_ENABLED"), "0");
  EXPECT_FALSE(first.creates[1].data.contains("GOCACHE")) << "nothing is mounted there";
  EXPECT_EQ(status_of(facts.status, kExported), ConditionStatus::True);
  EXPECT_TRUE(decide(facts, testing::options()).quiet());

  facts.generation = 2;
  facts.spec->cgo.policy = goenv::CgoPolicy::Enabled;
  const EnvironmentDecision edit = step(facts);
  ASSERT_EQ(edit.creates.size(), 2u);
  EXPECT_FALSE(edit.creates[1].replaces.empty()) << "updated in place, with a precondition";
  EXPECT_TRUE(decide(facts, testing::options()).quiet());

  fact(facts, edit.creates[1].hash).intact = false;
  EXPECT_EQ(step(facts).creates.size(), 1u) << "an edit by others is put right";

  facts.generation = 3;
  facts.export_name = "other";
  step(facts);
  EXPECT_TRUE(decide(facts, testing::options()).quiet());
  facts.generation = 4;
  facts.export_name.clear();
  const EnvironmentDecision gone = step(facts);
  ASSERT_EQ(gone.deletes.size(), 1u);
  EXPECT_EQ(gone.deletes[0].name, "other");
  EXPECT_EQ(facts.status.find(kExported), nullptr);
}

TEST(Export, LeavesOutAllOfGitsSettingsWhenOneNeedsAMount) {
  goenv::Spec spec;
  spec.toolchain.delivery = goenv::Delivery::Download;
  spec.modules.credentials_secret = "netrc";
  const auto data = exported_variables(goenv::render(spec, "1.22.3", {}).data.at("pod.json"));
  EXPECT_EQ(data.at("GOTOOLCHAIN"), "go1.22.3");
  for (const char* name : {"NETRC", "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0"}) {
    EXPECT_FALSE(data.contains(name)) << name << ": git refuses to run with a part of them";
  }
}

TEST(Export, HasWhatALauncherWouldSet) {
  goenv::Spec spec;
  spec.modules.https_proxy = "http://proxy.example:3128";
  const auto data = exported_variables(goenv::render(spec, "1.22.3", {}).data.at("pod.json"));
  EXPECT_EQ(data.at("https_proxy"), "http://proxy.example:3128");
}

TEST(Export, ValuesAreThoseOfEnvFromWhichNobodyExpands) {
  goenv::Spec spec;
  for (const std::string text : {"-X=main.a=$(b)", "-X=main.a=$$b$c", "-X=main.a=$b"}) {
    spec.flags = {"-ldflags=" + text};
    const auto data = exported_variables(goenv::render(spec, "1.22.3", {}).data.at("pod.json"));
    EXPECT_EQ(data.at("GOFLAGS"), "-ldflags=" + text);
  }
}

TEST(Decide, ExportNeverAdopts) {
  EnvironmentFacts facts = new_environment(spec_of("1.22.3"));
  facts.export_name = "go-env";
  ConfigMapFact theirs;
  theirs.name = "go-env";
  theirs.uid = "theirs";
  theirs.ownership = Ownership::Foreign;
  facts.config_maps.push_back(theirs);
  const EnvironmentDecision decision = step(facts);
  EXPECT_EQ(decision.creates.size(), 1u);
  EXPECT_TRUE(decision.deletes.empty());
  EXPECT_EQ(status_of(facts.status, kExported), ConditionStatus::False);
  EXPECT_EQ(status_of(facts.status, crds::kReady), ConditionStatus::True);
  EXPECT_EQ(decision.recheck, 300);
  ASSERT_EQ(decision.events.size(), 1u);
  const EnvironmentDecision again = decide(facts, testing::options());
  EXPECT_TRUE(again.quiet());
  EXPECT_TRUE(again.events.empty());
}

}  // namespace
}  // namespace gobuildenv::controllers
