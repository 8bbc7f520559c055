#include <gtest/gtest.h>

#include <functional>

#include "controllers/missed/decide.hpp"
#include "controllers/serving/selector.hpp"

namespace gobuildenv::controllers {
namespace {

struct MissedCase {
  const char* name;
  std::function<void(MissedFacts&)> change;
  const char* reason;  ///< "" for no Event
};

TEST(Missed, TellsWhatHappened) {
  // A new pod without its environment, which exists and serves.
  MissedFacts missed;
  missed.ns = "ns";
  missed.environment = "app";
  missed.environment_exists = true;
  missed.environment_served = true;
  const auto got = [](MissedFacts& facts) { facts.revision = "0123456789"; };
  const std::vector<MissedCase> cases{
      {"missed", [](MissedFacts&) {}, "EnvironmentMissed"},
      {"no environment",
       [](MissedFacts& f) { f.environment_exists = f.environment_served = false; },
       "EnvironmentNotFound"},
      {"no revision", [](MissedFacts& f) { f.environment_served = false; }, "EnvironmentNotReady"},
      {"finished", [](MissedFacts& f) { f.finished = true; }, ""},
      {"left alone by admission", [](MissedFacts& f) { f.answered = true; }, ""},
      {"disabled namespace", [](MissedFacts& f) { f.injection_disabled = true; }, ""},
      {"old news", [](MissedFacts& f) { f.old_news = true; }, ""},
      {"got it", got, ""},
      {"got it and the environment is gone",
       [&](MissedFacts& f) {
         got(f);
         f.environment_exists = false;
         f.in_vain = true;
         f.old_news = true;
       },
       "EnvironmentDeleted"},
      {"got it and the revision is gone",
       [&](MissedFacts& f) {
         got(f);
         f.in_vain = true;
         f.old_news = true;
       },
       "RevisionDeleted"},
      {"runs on without the environment",
       [&](MissedFacts& f) {
         got(f);
         f.environment_exists = false;
       },
       ""},
  };
  for (const MissedCase& test : cases) {
    MissedFacts facts = missed;
    test.change(facts);
    const auto note = decide_missed(facts);
    EXPECT_EQ(note ? note->reason : "", test.reason) << test.name;
    if (note) {
      EXPECT_NE(note->message.find("app"), std::string::npos) << test.name;
    }
  }
}

TEST(Selector, FollowsLabelSelectors) {
  const webhooks::Labels labels{{"team", "web"}, {"tier", "ci"}};
  const auto expression = [](const char* key, const char* op, std::vector<std::string> values) {
    goenv::PodSelector selector;
    selector.match_expressions.push_back({key, op, std::move(values)});
    return selector;
  };
  EXPECT_TRUE(selects({}, labels));
  EXPECT_TRUE(selects({{{"team", "web"}}, {}}, labels));
  EXPECT_FALSE(selects({{{"team", "web"}, {"tier", "x"}}, {}}, labels));
  EXPECT_FALSE(selects({{{"absent", ""}}, {}}, labels));
  EXPECT_TRUE(selects(expression("team", "In", {"a", "web"}), labels));
  EXPECT_FALSE(selects(expression("team", "In", {"a"}), labels));
  EXPECT_FALSE(selects(expression("absent", "In", {"a"}), labels));
  EXPECT_FALSE(selects(expression("team", "NotIn", {"web"}), labels));
  EXPECT_TRUE(selects(expression("absent", "NotIn", {"web"}), labels));
  EXPECT_TRUE(selects(expression("team", "Exists", {}), labels));
  EXPECT_FALSE(selects(expression("absent", "Exists", {}), labels));
  EXPECT_TRUE(selects(expression("absent", "DoesNotExist", {}), labels));
  EXPECT_FALSE(selects(expression("team", "DoesNotExist", {}), labels));
  EXPECT_FALSE(selects(expression("team", "Gt", {"1"}), labels));
}

}  // namespace
}  // namespace gobuildenv::controllers
