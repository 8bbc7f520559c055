// The statuses that the GitOps health checks of the chart are tested with are those written here.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>

#include "controllers/gobuildenv/refusal.hpp"
#include "facts.hpp"

namespace gobuildenv::controllers {
namespace {

using nlohmann::json;
using testing::spec_of;
using testing::step;
using State = ToolchainAnswer::State;

/// Without what differs from run to run or with the rendering.
json comparable(const json& status) {
  std::string text = status.dump();
  text = std::regex_replace(text, std::regex("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ"), "TIME");
  text = std::regex_replace(text, std::regex("\\b[0-9a-f]{10}\\b"), "HASH");
  text = std::regex_replace(text, std::regex("\"uid\":\"[^\"]*\""), "\"uid\":\"UID\"");
  return json::parse(text);
}

EnvironmentFacts environment(const std::string& version, std::int64_t generation) {
  EnvironmentFacts facts = testing::new_environment(spec_of(version));
  facts.name = "go122";
  facts.generation = generation;
  return facts;
}

ToolchainAnswer unreachable() {
  return {State::Failed, {}, "ProxyUnreachable", "the module proxy does not answer", 30};
}

EnvironmentFacts ready() {
  EnvironmentFacts facts = environment("1.22.3", 2);
  step(facts);
  facts.pods.injected = 3;
  facts.counts_due = true;
  step(facts);
  return facts;
}

EnvironmentFacts edited(const std::string& version, ToolchainAnswer answer = {}) {
  EnvironmentFacts facts = ready();
  facts.generation = 3;
  facts.spec = spec_of(version);
  facts.answer = std::move(answer);
  step(facts);
  return facts;
}

EnvironmentFacts waiting(ToolchainAnswer answer) {
  EnvironmentFacts facts = environment("1.22", 1);
  facts.answer = std::move(answer);
  step(facts);
  return facts;
}

EnvironmentFacts re_resolving() {
  EnvironmentFacts facts = environment("1.22", 2);
  facts.answer = ToolchainAnswer{State::Resolved, "1.22.3", {}, {}, 0};
  step(facts);
  facts.resolve = "again";
  facts.answer = unreachable();
  step(facts);
  return facts;
}

EnvironmentFacts refused() {
  EnvironmentFacts facts = environment("1.22.3", 1);
  const std::string name = decide(facts, testing::options()).creates[0].name;
  facts.refused[name] = {"exceeded quota: maps", 10};
  step(facts);
  return facts;
}

TEST(GitOps, TestDataAreRealStatuses) {
  const std::map<std::string, EnvironmentFacts> cases{
      {"ready", ready()},
      {"being-deleted", ready()},
      {"edited-not-yet-seen", ready()},
      {"resolving", waiting(unreachable())},
      {"no-proxy", waiting({State::Final, {}, "NoProxyConfigured", "there is no proxy", 0})},
      {"edited-proxy-unreachable", edited("1.23", unreachable())},
      {"ready-but-proxy-unreachable", re_resolving()},
      {"stalled-old-revision-serves", edited("nonsense")},
      {"stalled-before-the-edit", edited("nonsense")},
      {"refused", refused()},
  };
  for (const auto& [name, facts] : cases) {
    const json status = json::parse(crds::encode_status(facts.status));
    std::ifstream file("charts/gitops/testdata/" + name + ".json");
    const json data = json::parse(file, nullptr, false);
    ASSERT_FALSE(data.is_discarded()) << name << " should hold " << status;
    EXPECT_EQ(comparable(data["object"]["status"]), comparable(status))
        << name << " should hold " << status;
  }
}

}  // namespace
}  // namespace gobuildenv::controllers
