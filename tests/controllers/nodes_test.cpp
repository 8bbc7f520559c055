#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>

#include "controllers/gobuildenv/decide.hpp"
#include "controllers/nodes/decide.hpp"
#include "controllers/nodes/records.hpp"
#include "controllers/nodes/tally.hpp"
#include "facts.hpp"

namespace gobuildenv::controllers {
namespace {

using ::testing::HasSubstr;
using testing::new_environment;
using testing::options;
using testing::spec_of;
using testing::step;
using Json = nlohmann::json;

const std::string kSum = "h1:AAAA=";

Json toolchain(const std::string& version, const std::string& state, const std::string& key = "",
               const std::string& reason = "") {
  Json out{
      {"version", version}, {"os", "linux"}, {"arch", "amd64"}, {"key", key}, {"state", state}};
  if (state == "Ready" || key.starts_with("ns-")) out["sum"] = kSum;
  if (!reason.empty()) out["reason"] = reason;
  return out;
}

std::shared_ptr<const NodeRecord> node(const std::vector<Json>& toolchains) {
  const Json object{{"metadata", {{"name", "n"}, {"uid", "u"}, {"resourceVersion", "1"}}},
                    {"status", {{"toolchains", toolchains}}}};
  auto decoded = decode_node(object.dump());
  EXPECT_TRUE(decoded) << decoded.error();
  return decoded->value;
}

class TallyTest : public ::testing::Test {
 protected:
  bool change(std::shared_ptr<const NodeRecord> before, std::shared_ptr<const NodeRecord> after) {
    const kube::ObjectKey key{{}, "n"};
    return tally.observe({key, std::move(before), std::move(after), kube::Origin::Watch, "u"});
  }
  NodeTally tally;
};

TEST(NodeRecord, NodesThatAreAlikeShareOneList) {
  const auto a = node({toolchain("1.22.3", "Ready", "h1-A")});
  const auto b = node({toolchain("1.22.3", "Ready", "h1-A"), toolchain("1.23.0", "Fetching")});
  EXPECT_EQ(a->marks, b->marks) << "what is being fetched is no difference";
  EXPECT_NE(a->marks, node({toolchain("1.22.4", "Ready", "h1-A")})->marks);
  EXPECT_FALSE(decode_node("{}"));
  EXPECT_FALSE(decode_node("nonsense"));
}

TEST_F(TallyTest, CountsWhatNodesHold) {
  EXPECT_EQ(tally.count("1.22.3", {}).agents, 0);
  const auto ready = node({toolchain("1.22.3", "Ready", "h1-A")});
  const auto failed = node({toolchain("1.22.3", "Failed", "", "NotFound")});
  EXPECT_TRUE(change(nullptr, ready));
  EXPECT_TRUE(change(nullptr, failed));
  EXPECT_TRUE(change(nullptr, node({})));
  NodeFacts facts = tally.count("1.22.3", {});
  EXPECT_EQ(facts.desired, 3);
  EXPECT_EQ(facts.ready, 1);
  EXPECT_EQ(facts.failed, 1);
  EXPECT_EQ(facts.reason, "NotFound");
  EXPECT_FALSE(change(ready, node({toolchain("1.22.3", "Ready", "h1-A")})));
  EXPECT_TRUE(change(failed, ready));
  EXPECT_TRUE(change(ready, nullptr));
  facts = tally.count("1.22.3", {});
  EXPECT_EQ(facts.desired, 2);
  EXPECT_EQ(facts.ready, 1);
  EXPECT_EQ(facts.failed, 0);
}

/// The API server would refuse the status of every environment with this toolchain.
TEST_F(TallyTest, AReasonThatNoConditionMayHaveIsNotTakenOver) {
  for (const std::string reason :
       {"disk full", "ends:", "1st", "", "caf\u00e9", "new\nline", "_x", "a-b"}) {
    SCOPED_TRACE(reason);
    NodeTally one;
    one.observe({{{}, "n"},
                 nullptr,
                 node({toolchain("1.22.3", "Failed", "", reason)}),
                 kube::Origin::Watch,
                 "u"});
    const NodeFacts facts = one.count("1.22.3", {});
    EXPECT_EQ(facts.failed, 1);
    crds::Status status;
    status.toolchain.version = "1.22.3";
    set_nodes(status, facts, true, 1, 0);
    ASSERT_NE(status.find(kToolchainReady), nullptr);
    EXPECT_EQ(status.find(kToolchainReady)->reason, "Failed");
  }
  change(nullptr, node({toolchain("1.22.3", "Failed", "", "Proxy_1,Mirror:2")}));
  EXPECT_EQ(tally.count("1.22.3", {}).reason, "Proxy_1,Mirror:2");
}

TEST_F(TallyTest, PinnedToolchainsAreDesiredWhereAPodAsked) {
  change(nullptr, node({toolchain("1.22.3", "Ready", "ns-uid-h1-A")}));
  change(nullptr, node({toolchain("1.22.3", "Failed", "ns-uid-h1-A", "SumMismatch")}));
  change(nullptr, node({toolchain("1.22.3", "Ready", "h1-A")}));
  change(nullptr, node({}));
  const NodeFacts pinned = tally.count("1.22.3", {kSum, "h1:of-another-platform"});
  EXPECT_EQ(pinned.desired, 3);
  EXPECT_EQ(pinned.ready, 2) << "one of its own, and the shared one of the same sum";
  EXPECT_EQ(pinned.reason, "SumMismatch");
  EXPECT_EQ(tally.count("1.22.3", {}).ready, 1) << "a private one is nobody else's";
}

const std::string kOne = "h1:" + std::string(43, 'A') + "=";
const std::string kOther = "h1:" + std::string(43, 'B') + "=";

Json ready_on(const std::string& os, const std::string& arch, const std::string& sum,
              const std::string& key = "h1-x") {
  return {{"version", "1.22.3"}, {"os", os},         {"arch", arch},
          {"key", key},          {"state", "Ready"}, {"sum", sum}};
}

using Sums = std::vector<goenv::ToolchainSum>;

TEST_F(TallyTest, SaysWithWhatNodesVerified) {
  const auto arm = node({ready_on("linux", "arm64", kOther)});
  change(nullptr, arm);
  change(nullptr, node({ready_on("linux", "amd64", kOne)}));
  change(nullptr, node({toolchain("1.22.3", "Failed", "", "NotFound")}));
  EXPECT_EQ(tally.count("1.22.3", {}).verified,
            (Sums{{"linux", "amd64", kOne}, {"linux", "arm64", kOther}}));
  EXPECT_EQ(tally.count("1.22.4", {}).verified, Sums());
  EXPECT_TRUE(change(arm, node({})));
  EXPECT_EQ(tally.count("1.22.3", {}).verified, (Sums{{"linux", "amd64", kOne}}));
}

TEST_F(TallyTest, AnotherSumOfAFewNodesChangesNothing) {
  for (int i = 0; i < 2; ++i) change(nullptr, node({ready_on("linux", "amd64", kOther)}));
  const auto liar = node({ready_on("linux", "amd64", kOne)});
  change(nullptr, liar);
  EXPECT_EQ(tally.count("1.22.3", {}).verified, (Sums{{"linux", "amd64", kOther}}));
  change(nullptr, liar);
  EXPECT_EQ(tally.count("1.22.3", {}).verified, (Sums{{"linux", "amd64", kOne}}))
      << "of equally many the first";
}

TEST_F(TallyTest, WhatIsNoChecksumOfAPlatformIsNotTakenOver) {
  for (const auto& [os, arch, sum] :
       std::vector<std::array<std::string, 3>>{{"linux", "amd64", "h1:short="},
                                               {"linux", "amd64", ""},
                                               {"", "amd64", kOne},
                                               {"linux", "AMD64", kOne},
                                               {"linux", std::string(17, 'a'), kOne}}) {
    change(nullptr, node({ready_on(os, arch, sum)}));
  }
  const NodeFacts facts = tally.count("1.22.3", {});
  EXPECT_EQ(facts.ready, 5);
  EXPECT_EQ(facts.verified, Sums());
}

TEST_F(TallyTest, NoMoreSumsThanAStatusHasRoomFor) {
  for (int i = 0; i < 70; ++i) {
    change(nullptr, node({ready_on("linux", "a" + std::to_string(100 + i), kOne)}));
  }
  const Sums sums = tally.count("1.22.3", {}).verified;
  ASSERT_EQ(sums.size(), 64U);
  EXPECT_EQ(sums.back().arch, "a163");
}

TEST_F(TallyTest, PinnedToolchainsAreVerifiedWithTheirSum) {
  change(nullptr, node({ready_on("linux", "amd64", kOne, "ns-uid-h1-A")}));
  change(nullptr, node({ready_on("linux", "amd64", kOther, "h1-B")}));
  EXPECT_EQ(tally.count("1.22.3", {kOne}).verified, (Sums{{"linux", "amd64", kOne}}));
  EXPECT_EQ(tally.count("1.22.3", {}).verified, (Sums{{"linux", "amd64", kOther}}));
}

crds::Status status_of(const std::string& version) {
  crds::Status out;
  out.toolchain.version = version;
  return out;
}

struct ConditionCase {
  NodeFacts nodes;
  crds::ConditionStatus status;
  std::string reason;
  std::string message;
};

TEST(SetNodes, SaysHowFarNodesAre) {
  using crds::ConditionStatus;
  for (const ConditionCase& c : std::vector<ConditionCase>{
           {{5, 5, 5, 0, "", false}, ConditionStatus::True, "Ready", "on 5 of 5 nodes"},
           {{5, 5, 3, 0, "", false}, ConditionStatus::False, "Fetching", "on 3 of 5 nodes"},
           {{5, 5, 3, 2, "NotFound", false}, ConditionStatus::False, "NotFound", "2 cannot fetch"},
           {{5, 0, 0, 0, "", true}, ConditionStatus::Unknown, "OnDemand", "first pod"},
           {{5, 2, 2, 0, "", true}, ConditionStatus::True, "Ready", "on 2 of 2 nodes"}}) {
    crds::Status status = status_of("1.22.3");
    EXPECT_TRUE(nodes_differ(status, c.nodes, true));
    set_nodes(status, c.nodes, true, 7, 1'000'000);
    const crds::Condition* condition = status.find(kToolchainReady);
    ASSERT_NE(condition, nullptr);
    EXPECT_EQ(condition->status, c.status) << c.reason;
    EXPECT_EQ(condition->reason, c.reason);
    EXPECT_EQ(condition->observed_generation, 7);
    EXPECT_THAT(condition->message, HasSubstr(c.message));
    EXPECT_EQ(status.nodes_ready, c.nodes.ready);
    EXPECT_EQ(status.nodes_desired, c.nodes.desired);
    EXPECT_FALSE(nodes_differ(status, c.nodes, true));
  }
}

TEST(SetNodes, SaysNothingWhereNoNodeFetches) {
  crds::Status status = status_of("1.22.3");
  set_nodes(status, {5, 5, 5, 0, "", false}, true, 1, 0);
  ASSERT_EQ(status.nodes_desired, 5);
  for (const auto& [nodes, mounted] :
       std::vector<std::pair<NodeFacts, bool>>{{{5, 5, 5, 0, "", false}, false}, {{}, true}}) {
    crds::Status now = status;
    EXPECT_TRUE(nodes_differ(now, nodes, mounted));
    set_nodes(now, nodes, mounted, 1, 0);
    EXPECT_EQ(now, status_of("1.22.3"));
    EXPECT_FALSE(nodes_differ(now, nodes, mounted));
  }
}

TEST(DecideNodes, AreWrittenWithOtherNewsOrWhenTheirTurnHasCome) {
  EnvironmentFacts facts = new_environment(spec_of("1.22.3"));
  NodeFacts nodes{3, 3, 0, 0, "", false};
  facts.nodes = [&](const std::string&) { return nodes; };
  step(facts);
  ASSERT_NE(facts.status.find(kToolchainReady), nullptr);
  EXPECT_EQ(facts.status.nodes_desired, 3);
  for (int i = 0; i < 3; ++i) step(facts);
  EXPECT_TRUE(decide(facts, options()).quiet());

  nodes.ready = 2;
  EXPECT_TRUE(decide(facts, options()).quiet()) << "its turn has not come";
  facts.nodes_due = true;
  const auto decision = decide(facts, options());
  ASSERT_TRUE(decision.status);
  EXPECT_EQ(decision.status->nodes_ready, 2);
  testing::come_true(facts, decision);
  EXPECT_TRUE(decide(facts, options()).quiet());

  facts.nodes_due = false;
  nodes.ready = 3;
  facts.pods.injected = 1;
  step(facts);
  EXPECT_EQ(facts.status.nodes_ready, 3) << "along with the pods";
  EXPECT_EQ(facts.status.find(kToolchainReady)->status, crds::ConditionStatus::True);

  nodes.verified = {{"linux", "amd64", kOne}};
  EXPECT_TRUE(decide(facts, options()).quiet()) << "its turn has not come";
  facts.nodes_due = true;
  step(facts);
  EXPECT_EQ(facts.status.toolchain.sums, nodes.verified);
  EXPECT_TRUE(decide(facts, options()).quiet());

  facts.nodes = nullptr;
  EXPECT_TRUE(decide(facts, options()).quiet()) << "not known yet is no news";

  facts.nodes = [&](const std::string&) { return nodes; };
  facts.mounted = false;
  step(facts);
  EXPECT_EQ(facts.status.find(kToolchainReady), nullptr);
  EXPECT_EQ(facts.status.nodes_desired, 0);
  EXPECT_EQ(facts.status.toolchain.sums, Sums());
}

TEST(DecideNodes, SumsOfAnotherVersionAreNotKept) {
  EnvironmentFacts facts = new_environment(spec_of("1.22.3"));
  facts.nodes = [](const std::string&) {
    return NodeFacts{1, 1, 1, 0, "", false, {{"linux", "amd64", kOne}}};
  };
  step(facts);
  ASSERT_EQ(facts.status.toolchain.sums.size(), 1U);
  facts.nodes = nullptr;  // a leader that has not listed nodes yet
  facts.generation = 2;
  facts.spec = spec_of("1.22.3");
  step(facts);
  EXPECT_EQ(facts.status.toolchain.sums.size(), 1U);
  facts.generation = 3;
  facts.spec = spec_of("1.23.1");
  step(facts);
  EXPECT_EQ(facts.status.toolchain.version, "1.23.1");
  EXPECT_EQ(facts.status.toolchain.sums, Sums());
}

TEST(DecideNodes, AreCountedForTheVersionThatIsServedFromNowOn) {
  EnvironmentFacts facts = new_environment(spec_of("1.22.3"));
  facts.nodes = [](const std::string& version) {
    return NodeFacts{3, 3, version == "1.22.3" ? 3 : 1, 0, "", false};
  };
  step(facts);
  EXPECT_EQ(facts.status.nodes_ready, 3) << "in the first write already";
  facts.generation = 2;
  facts.spec = spec_of("1.23.1");
  step(facts);
  EXPECT_EQ(facts.status.toolchain.version, "1.23.1");
  EXPECT_EQ(facts.status.nodes_ready, 1);
  EXPECT_EQ(facts.status.find(kToolchainReady)->reason, "Fetching");
}

}  // namespace
}  // namespace gobuildenv::controllers
