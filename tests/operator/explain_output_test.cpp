#include "operator/explain_output.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace gobuildenv::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// A pod that asked, and in which the environment would hold.
Explained asked(std::optional<bool> admitted) {
  Explained out;
  out.subject = "Pod ci/build";
  out.admitted = admitted;
  out.explanation.outcome = webhooks::Outcome::Selected;
  out.explanation.environment = "env";
  out.explanation.revision = "0123456789";
  out.explanation.containers.emplace_back().name = "main";
  out.explanation.containers[0].follows = true;
  return out;
}

TEST(Explain, APodThatWasMissedRunsUnchanged) {
  const Explained missed = asked(false);
  EXPECT_FALSE(holds(missed));
  EXPECT_THAT(explanation_text(missed), HasSubstr("runs unchanged"));
  EXPECT_THAT(explanation_text(missed), HasSubstr("what admission would do now"));
  EXPECT_EQ(nlohmann::json::parse(explanation_json(missed)).at("admitted"), false);
}

TEST(Explain, OthersAreWhatTheyLook) {
  const Explained changed = asked(true);
  EXPECT_TRUE(holds(changed));
  EXPECT_THAT(explanation_text(changed), Not(HasSubstr("runs unchanged")));
  EXPECT_EQ(nlohmann::json::parse(explanation_json(changed)).at("admitted"), true);

  const Explained manifest = asked(std::nullopt);
  EXPECT_TRUE(holds(manifest));
  EXPECT_FALSE(nlohmann::json::parse(explanation_json(manifest)).contains("admitted"));

  Explained refused = asked(std::nullopt);
  refused.explanation.refused = true;
  EXPECT_FALSE(holds(refused));
  Explained left_alone = asked(true);
  left_alone.explanation.containers[0].follows = false;
  EXPECT_FALSE(holds(left_alone));

  Explained unasked = asked(false);
  unasked.explanation.outcome = webhooks::Outcome::NotAsked;
  EXPECT_THAT(explanation_text(unasked), Not(HasSubstr("runs unchanged")));
}

TEST(Explain, TheBindingIsInTheAnnotations) {
  const auto binding =
      binding_of(R"({"metadata":{"annotations":{"gobuildenv.dev/environment":"env",)"
                 R"("gobuildenv.dev/revision":"0123456789"}}})");
  ASSERT_TRUE(binding);
  EXPECT_EQ(binding->environment, "env");
  EXPECT_EQ(binding->revision, "0123456789");
  for (const char* pod :
       {"", "[]", "{}", R"({"metadata":null})", R"({"metadata":{"annotations":null}})",
        R"({"metadata":{"annotations":{"gobuildenv.dev/environment":"env"}}})",
        R"({"metadata":{"annotations":{"gobuildenv.dev/environment":"env",)"
        R"("gobuildenv.dev/revision":7}}})"}) {
    EXPECT_FALSE(binding_of(pod)) << pod;
  }
}

}  // namespace
}  // namespace gobuildenv::cli
