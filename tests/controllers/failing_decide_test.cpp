// What is decided about ConfigMaps whose writes fail for long.
#include <gtest/gtest.h>

#include "controllers/gobuildenv/refusal.hpp"
#include "facts.hpp"

namespace gobuildenv::controllers {
namespace {

using crds::ConditionStatus;
using testing::new_environment;
using testing::spec_of;
using testing::step;

bool mentions(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// As the API server tells of a webhook that it cannot call.
std::string down(const std::string& webhook, const std::string& why) {
  return "Internal error occurred: failed calling webhook \"" + webhook +
         "\": failed to call webhook: Post \"https://hooks.example:443/v?timeout=10s\": " + why;
}

Refusal failed(std::string message, std::int64_t retry_in = 10) {
  return {std::move(message), retry_in, true};
}

crds::Condition condition(const EnvironmentFacts& facts, std::string_view type) {
  const crds::Condition* found = facts.status.find(type);
  return found == nullptr ? crds::Condition{"none", ConditionStatus::Unknown, 0, {}, {}, {}}
                          : *found;
}

TEST(Failing, IsToldOnceWhateverItsWords) {
  EnvironmentFacts facts = new_environment(spec_of("1.22.3"));
  const std::string name = decide(facts, testing::options()).creates[0].name;
  facts.refused[name] = failed(down("names.example", "connection refused"));
  const EnvironmentDecision decision = step(facts);
  EXPECT_TRUE(decision.creates.empty());
  EXPECT_EQ(decision.recheck, 10);
  EXPECT_EQ(facts.status.observed_generation, 1);
  for (const std::string_view type : {crds::kReady, crds::kStalled}) {
    const crds::Condition told = condition(facts, type);
    EXPECT_EQ(told.reason, kConfigMapFailed);
    EXPECT_TRUE(mentions(told.message, "ConfigMap " + name + " cannot be written")) << told.message;
    EXPECT_TRUE(mentions(told.message, down("names.example", "connection refused")));
    EXPECT_TRUE(mentions(told.message, "mend that webhook")) << told.message;
  }
  EXPECT_EQ(condition(facts, crds::kReady).status, ConditionStatus::False);
  EXPECT_EQ(condition(facts, crds::kStalled).status, ConditionStatus::True);
  ASSERT_EQ(decision.events.size(), 1u);
  EXPECT_EQ(decision.events[0].reason, kConfigMapFailed);

  for (const std::string& words :
       {down("names.example", "context deadline exceeded"),
        down("names.example", "no endpoints available for service \"hooks\""),
        std::string("admission webhook \"names.example\" denied the request: database is away"),
        std::string("etcdserver: request timed out")}) {
    facts.refused[name] = failed(words, 300);
    const EnvironmentDecision again = decide(facts, testing::options());
    EXPECT_TRUE(again.quiet()) << words;
    EXPECT_TRUE(again.events.empty());
    EXPECT_EQ(again.recheck, 300);
  }

  facts.refused.clear();
  step(facts);
  EXPECT_EQ(condition(facts, crds::kReady).status, ConditionStatus::True);
  EXPECT_EQ(facts.status.find(crds::kStalled), nullptr);
  EXPECT_TRUE(decide(facts, testing::options()).quiet());
}

TEST(Failing, AnotherWebhookOrARefusalIsNews) {
  EnvironmentFacts facts = new_environment(spec_of("1.22.3"));
  const std::string name = decide(facts, testing::options()).creates[0].name;
  const Refusal news[] = {failed("etcdserver: request timed out"),
                          failed(down("a.example", "EOF")),
                          failed(down("b.example", "EOF")),
                          {"admission webhook \"b.example\" denied the request: no", 10},
                          failed(down("b.example", "EOF"))};
  for (const Refusal& refusal : news) {
    facts.refused[name] = refusal;
    EXPECT_EQ(step(facts).events.size(), 1u) << refusal.message;
    EXPECT_EQ(condition(facts, crds::kStalled).reason, refusal.reason());
    EXPECT_TRUE(mentions(condition(facts, crds::kStalled).message, refusal.message));
    EXPECT_TRUE(decide(facts, testing::options()).quiet());
  }
}

TEST(Failing, AnEditKeepsWhatServes) {
  EnvironmentFacts facts = new_environment(spec_of("1.22.3"));
  step(facts);
  const std::string old = facts.status.current;
  facts.generation = 2;
  facts.spec = spec_of("1.23.1");
  const std::string name = decide(facts, testing::options()).creates[0].name;
  facts.refused[name] = failed("etcdserver: request timed out");
  step(facts);
  EXPECT_EQ(facts.status.current, old);
  EXPECT_EQ(facts.status.observed_generation, 2);
  const std::string told = condition(facts, crds::kReady).message;
  EXPECT_TRUE(mentions(told, old + " keeps serving")) << told;
  EXPECT_TRUE(mentions(told, "the API server's log")) << told;
  facts.now += 100'000;
  EXPECT_TRUE(decide(facts, testing::options()).quiet()) << "nothing of it is ever removed";
}

TEST(Failing, WhatWasAcceptedStaysAccepted) {
  EnvironmentFacts facts = new_environment(spec_of("1.22.3"));
  step(facts);
  facts.spec->variables["LD_PRELOAD"] = "/x.so";
  ASSERT_FALSE(goenv::validate(*facts.spec).empty());
  facts.config_maps.clear();
  const std::string name = decide(facts, testing::options()).creates[0].name;
  facts.refused[name] = failed("etcdserver: request timed out");
  step(facts);
  EXPECT_EQ(condition(facts, crds::kReady).reason, kConfigMapFailed);
  facts.refused.clear();
  step(facts);
  EXPECT_EQ(condition(facts, crds::kReady).status, ConditionStatus::True);
}

TEST(Failing, AnExportIsAConditionOfItsOwn) {
  EnvironmentFacts facts = new_environment(spec_of("1.22.3"));
  facts.export_name = "go-env";
  facts.refused["go-env"] = failed(down("names.example", "EOF"), 20);
  const EnvironmentDecision decision = step(facts);
  EXPECT_EQ(decision.recheck, 20);
  EXPECT_EQ(condition(facts, crds::kReady).status, ConditionStatus::True);
  EXPECT_EQ(facts.status.find(crds::kStalled), nullptr);
  EXPECT_EQ(condition(facts, kExported).status, ConditionStatus::False);
  EXPECT_EQ(condition(facts, kExported).reason, kConfigMapFailed);
  EXPECT_EQ(decision.events.size(), 1u);
  facts.refused["go-env"] = failed(down("names.example", "connection refused"), 40);
  EXPECT_TRUE(decide(facts, testing::options()).quiet());
  facts.refused.clear();
  step(facts);
  EXPECT_EQ(condition(facts, kExported).status, ConditionStatus::True);
}

}  // namespace
}  // namespace gobuildenv::controllers
