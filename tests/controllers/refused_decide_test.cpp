// What is decided about ConfigMaps that the API server refuses.
#include <gtest/gtest.h>

#include "controllers/gobuildenv/refusal.hpp"
#include "facts.hpp"

namespace gobuildenv::controllers {
namespace {

using crds::ConditionStatus;
using testing::new_environment;
using testing::spec_of;
using testing::step;

const crds::Condition& condition(const crds::Status& status, std::string_view type) {
  static const crds::Condition kNone{"none", ConditionStatus::Unknown, 0, {}, {}, {}};
  const crds::Condition* found = status.find(type);
  return found == nullptr ? kNone : *found;
}

bool mentions(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string quota(int used) {
  return "configmaps \"x\" is forbidden: exceeded quota: few, requested: count/configmaps=1, used: "
         "count/configmaps=" +
         std::to_string(used) + ", limited: count/configmaps=5";
}

/// The ConfigMap that is decided on is refused with `why`. Gives its name.
std::string refuse(EnvironmentFacts& facts, const std::string& why, std::int64_t retry_in = 10) {
  const EnvironmentDecision decision = decide(facts, testing::options());
  EXPECT_FALSE(decision.creates.empty());
  if (decision.creates.empty()) return {};
  facts.refused[decision.creates[0].name] = {why, retry_in};
  return decision.creates[0].name;
}

EnvironmentFacts served() {
  EnvironmentFacts facts = new_environment(spec_of("1.22.3"));
  step(facts);
  return facts;
}

TEST(Refused, NewEnvironmentSaysWhatIsRefusedAndWhy) {
  EnvironmentFacts facts = new_environment(spec_of("1.22.3"));
  const std::string name = refuse(facts, quota(5));
  const EnvironmentDecision decision = step(facts);
  EXPECT_TRUE(decision.creates.empty());
  EXPECT_EQ(decision.recheck, 10);
  EXPECT_EQ(facts.status.observed_generation, 1);
  EXPECT_EQ(facts.status.current, "");
  for (const std::string_view type : {crds::kReady, crds::kStalled}) {
    const crds::Condition& told = condition(facts.status, type);
    EXPECT_EQ(told.reason, kConfigMapRefused);
    EXPECT_EQ(told.observed_generation, 1);
    EXPECT_TRUE(mentions(told.message, "ConfigMap " + name)) << told.message;
    EXPECT_TRUE(mentions(told.message, quota(5))) << told.message;
    EXPECT_TRUE(mentions(told.message, "raise the ResourceQuota")) << told.message;
  }
  EXPECT_EQ(condition(facts.status, crds::kReady).status, ConditionStatus::False);
  EXPECT_EQ(condition(facts.status, crds::kStalled).status, ConditionStatus::True);
  EXPECT_TRUE(mentions(condition(facts.status, crds::kReady).message, "no revision serves yet"));
  EXPECT_EQ(facts.status.find(crds::kReconciling), nullptr);
  EXPECT_EQ(condition(facts.status, crds::kToolchainResolved).status, ConditionStatus::True);
  ASSERT_EQ(decision.events.size(), 1u);
  EXPECT_TRUE(decision.events[0].warning);
  EXPECT_EQ(decision.events[0].reason, kConfigMapRefused);
  EXPECT_TRUE(mentions(decision.events[0].message, name));

  // Others fill and empty the quota: no news.
  for (const int used : {6, 7, 12}) {
    facts.now += 300;
    facts.refused[name] = {quota(used), 300};
    const EnvironmentDecision again = decide(facts, testing::options());
    EXPECT_TRUE(again.quiet());
    EXPECT_TRUE(again.events.empty());
    EXPECT_EQ(again.recheck, 300);
  }

  facts.refused.clear();
  EXPECT_EQ(step(facts).creates.size(), 1u);
  EXPECT_EQ(condition(facts.status, crds::kReady).status, ConditionStatus::True);
  EXPECT_EQ(facts.status.find(crds::kStalled), nullptr);
  EXPECT_TRUE(decide(facts, testing::options()).quiet());
}

TEST(Refused, AnEditKeepsWhatServes) {
  EnvironmentFacts facts = served();
  const std::string old = facts.status.current;
  facts.generation = 2;
  facts.spec = spec_of("1.23.1");
  refuse(facts, quota(5));
  step(facts);
  EXPECT_EQ(facts.status.observed_generation, 2);
  EXPECT_EQ(facts.status.current, old);
  ASSERT_EQ(facts.status.history.size(), 1u);
  EXPECT_EQ(facts.status.history[0].superseded_at, "");
  EXPECT_TRUE(mentions(condition(facts.status, crds::kReady).message, old + " keeps serving"));
  EXPECT_EQ(condition(facts.status, crds::kReady).observed_generation, 2);
  facts.now += 100'000;
  EXPECT_TRUE(decide(facts, testing::options()).quiet()) << "nothing of it is ever removed";

  EnvironmentFacts back = facts;
  back.generation = 3;
  back.spec = spec_of("1.22.3");
  EXPECT_TRUE(step(back).creates.empty());
  EXPECT_EQ(condition(back.status, crds::kReady).status, ConditionStatus::True)
      << "what is there needs no leave";
  EXPECT_EQ(back.status.find(crds::kStalled), nullptr);

  facts.refused.clear();
  const EnvironmentDecision let_in = step(facts);
  EXPECT_NE(facts.status.current, old);
  EXPECT_EQ(facts.status.find(crds::kStalled), nullptr);
  ASSERT_EQ(let_in.events.size(), 1u);
  EXPECT_EQ(let_in.events[0].reason, "RevisionServed");
}

TEST(Refused, AnotherReasonOrAnotherConfigMapIsNews) {
  EnvironmentFacts facts = new_environment(spec_of("1.22.3"));
  const std::string name = refuse(facts, quota(5));
  step(facts);
  facts.refused[name] = {"admission webhook \"names.example\" denied the request: no team label",
                         10};
  const EnvironmentDecision other = step(facts);
  ASSERT_EQ(other.events.size(), 1u);
  EXPECT_TRUE(mentions(other.events[0].message, "no team label"));
  EXPECT_TRUE(mentions(condition(facts.status, crds::kStalled).message, "no team label"));

  facts.generation = 2;
  facts.spec = spec_of("1.23.1");
  const std::string next = refuse(facts, facts.refused[name].message);
  ASSERT_NE(next, name);
  EXPECT_EQ(step(facts).events.size(), 1u);
  EXPECT_TRUE(mentions(condition(facts.status, crds::kStalled).message, next));

  // An edit that asks for the same ConfigMap: observed, and nothing to tell.
  facts.generation = 3;
  facts.spec->revision_history_limit = 7;
  const EnvironmentDecision same = step(facts);
  ASSERT_TRUE(same.status);
  EXPECT_EQ(same.status->observed_generation, 3);
  EXPECT_TRUE(same.events.empty());
}

TEST(Refused, ARepairThatIsRefusedSaysThatNothingServes) {
  EnvironmentFacts facts = served();
  const std::string lost = facts.status.current;
  facts.config_maps.clear();
  refuse(facts, quota(5));
  step(facts);
  EXPECT_EQ(facts.status.current, lost) << "pods that wait for it name it";
  EXPECT_TRUE(mentions(condition(facts.status, crds::kReady).message, lost + " is lost"));
  EXPECT_TRUE(decide(facts, testing::options()).quiet());
  facts.refused.clear();
  step(facts);
  EXPECT_EQ(facts.status.current, lost);
  EXPECT_EQ(facts.status.history[0].uid, facts.config_maps[0].uid);
  EXPECT_EQ(condition(facts.status, crds::kReady).status, ConditionStatus::True);
}

TEST(Refused, WhatWasAcceptedStaysAcceptedThoughANewerRuleRefusesIt) {
  EnvironmentFacts facts = served();
  facts.spec->variables["LD_PRELOAD"] = "/x.so";
  ASSERT_FALSE(goenv::validate(*facts.spec).empty());
  facts.config_maps.clear();
  refuse(facts, quota(5));
  step(facts);
  EXPECT_EQ(condition(facts.status, crds::kReady).reason, kConfigMapRefused);
  EXPECT_TRUE(decide(facts, testing::options()).quiet());
  facts.refused.clear();
  step(facts);
  EXPECT_EQ(condition(facts.status, crds::kReady).status, ConditionStatus::True);
}

TEST(Refused, ATamperedOneStaysUntilAnotherTakesItsPlace) {
  EnvironmentFacts facts = served();
  const std::string spoilt = facts.config_maps[0].name;
  facts.config_maps[0].intact = false;
  ASSERT_NE(refuse(facts, quota(5)), spoilt);
  const EnvironmentDecision decision = step(facts);
  EXPECT_TRUE(decision.deletes.empty()) << "without it its name would look free";
  ASSERT_EQ(decision.events.size(), 1u);
  EXPECT_EQ(decision.events[0].reason, kConfigMapRefused);
  facts.refused.clear();
  const EnvironmentDecision let_in = step(facts);
  ASSERT_EQ(let_in.creates.size(), 1u);
  EXPECT_NE(let_in.creates[0].name, spoilt);
  ASSERT_EQ(let_in.deletes.size(), 1u);
  EXPECT_EQ(let_in.deletes[0].name, spoilt);
  EXPECT_EQ(let_in.events[0].reason, "RevisionTampered");
}

TEST(Refused, AnExportIsAConditionOfItsOwn) {
  EnvironmentFacts facts = new_environment(spec_of("1.22.3"));
  facts.export_name = "go-env";
  facts.refused["go-env"] = {quota(5), 20};
  const EnvironmentDecision decision = step(facts);
  ASSERT_EQ(decision.creates.size(), 1u) << "the revision";
  EXPECT_EQ(decision.recheck, 20);
  EXPECT_EQ(condition(facts.status, crds::kReady).status, ConditionStatus::True);
  EXPECT_EQ(facts.status.find(crds::kStalled), nullptr);
  const crds::Condition& exported = condition(facts.status, kExported);
  EXPECT_EQ(exported.status, ConditionStatus::False);
  EXPECT_EQ(exported.reason, kConfigMapRefused);
  EXPECT_TRUE(mentions(exported.message, "ConfigMap go-env")) << exported.message;
  ASSERT_EQ(decision.events.size(), 1u);
  EXPECT_EQ(decision.events[0].reason, kConfigMapRefused);

  facts.refused["go-env"] = {quota(6), 40};
  const EnvironmentDecision again = decide(facts, testing::options());
  EXPECT_TRUE(again.quiet());
  EXPECT_TRUE(again.events.empty());
  EXPECT_EQ(again.recheck, 40);
  facts.refused.clear();
  step(facts);
  EXPECT_EQ(condition(facts.status, kExported).status, ConditionStatus::True);
}

/// As decided on, but made by somebody else.
void take_its_name(EnvironmentFacts& facts, const CreateConfigMap& wanted) {
  ConfigMapFact theirs;
  theirs.name = wanted.name;
  theirs.hash = wanted.hash;
  theirs.uid = "theirs";
  theirs.ownership = Ownership::Foreign;
  facts.config_maps.push_back(theirs);
}

TEST(NameTaken, IsToldOnceWithTheNameThatIsUsedInstead) {
  EnvironmentFacts facts = new_environment(spec_of("1.22.3"));
  const CreateConfigMap wanted = decide(facts, testing::options()).creates[0];
  take_its_name(facts, wanted);
  // Without leave to make the other one there is nothing to tell of yet, however often it is tried.
  refuse(facts, quota(5));
  for (int i = 0; i < 2; ++i) {
    for (const EventNote& note : step(facts).events) EXPECT_EQ(note.reason, kConfigMapRefused);
  }
  facts.refused.clear();
  const EnvironmentDecision made = step(facts);
  ASSERT_EQ(made.events.size(), 1u);
  EXPECT_EQ(made.events[0].reason, "NameTaken");
  EXPECT_TRUE(mentions(made.events[0].message, wanted.name));
  EXPECT_TRUE(mentions(made.events[0].message, made.creates[0].name));
  EXPECT_TRUE(decide(facts, testing::options()).events.empty());
}

TEST(NameTaken, OfAllNamesIsToldOnce) {
  EnvironmentFacts facts = new_environment(spec_of("1.22.3"));
  EnvironmentDecision decision = decide(facts, testing::options());
  for (int taken = 0; !decision.creates.empty(); ++taken) {
    ASSERT_LE(taken, 100);
    take_its_name(facts, decision.creates[0]);
    decision = decide(facts, testing::options());
  }
  EXPECT_EQ(step(facts).events.size(), 1u);
  EXPECT_EQ(condition(facts.status, crds::kStalled).reason, "NameTaken");
  const EnvironmentDecision again = decide(facts, testing::options());
  EXPECT_TRUE(again.quiet());
  EXPECT_TRUE(again.events.empty());
  EXPECT_EQ(again.recheck, 300);
}

struct TellingCase {
  const char* reason;
  const char* next_step;
};

TEST(DescribeRefusal, NamesTheNextStep) {
  const std::vector<TellingCase> cases{
      {"configmaps \"x\" is forbidden: exceeded quota: few", "raise the ResourceQuota"},
      {"configmaps \"x\" is forbidden: status unknown for quota: few", "raise the ResourceQuota"},
      {"configmaps is forbidden: User \"u\" cannot create resource \"configmaps\"",
       "ServiceAccount this permission"},
      {"admission webhook \"names.example\" denied the request: no", "let what refuses it admit"},
      {"ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", "or change the spec"},
      {"ConfigMap \"x\" is invalid: []: Too long: may not be more than 1048576 bytes",
       "change the spec"},
  };
  for (const TellingCase& test : cases) {
    const std::string told = describe_refusal("app-1", {test.reason}, nullptr);
    EXPECT_TRUE(mentions(told, test.next_step)) << told;
    EXPECT_TRUE(mentions(told, test.reason)) << told;
    EXPECT_TRUE(mentions(told, "every 5 minutes")) << told;
  }
}

TEST(DescribeRefusal, KeepsTheWordsWhileOnlyFiguresChange) {
  crds::Condition before;
  before.reason = kConfigMapRefused;
  before.message = describe_refusal(
      "app-1", {"denied at 10:58:50 request 3f2a9c11-0e5b-4c1d-9f00-1b2c3d4e5f60"}, nullptr);
  EXPECT_EQ(
      describe_refusal("app-1", {"denied at 11:00:01 request 77aa0c11-beef-4c1d-9f00-ab"}, &before),
      before.message);
  EXPECT_NE(describe_refusal("app-2", {"denied at 11:00:01 request 1"}, &before), before.message);
  EXPECT_NE(describe_refusal("app-1", {"denied for good at 11:00:01"}, &before), before.message);
  before.reason = "InvalidSpec";
  EXPECT_NE(describe_refusal("app-1", {"denied at 11:00:01 request 1"}, &before), before.message);
}

}  // namespace
}  // namespace gobuildenv::controllers
