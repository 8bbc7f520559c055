// What scrapes and probes find of an agent to which nothing has happened yet.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "agent/node/fetch_reporter.hpp"
#include "agent/node/node_agent.hpp"
#include "agent/node/promotion_reporter.hpp"
#include "tests/agent/csi/fakes.hpp"
#include "tests/agent/temp_folder.hpp"
#include "tests/controllers/memory_client.hpp"

namespace gobuildenv::agent {
namespace {

using ::testing::HasSubstr;

/// Whether there is a sample of it.
bool has(const std::string& text, const std::string& series) {
  return ("\n" + text).find("\n" + series) != std::string::npos;
}

/// Opened and not started.
class NewAgent : public ::testing::Test {
 protected:
  void SetUp() override {
    NodeAgentOptions options;
    options.root = folder_.path("root");
    options.kubelet_dir = folder_.path("kubelet");
    options.node_name = "node-1";
    auto opened = NodeAgent::open(
        std::move(options), {provider_, clock_, metrics_, [] { return 0.5; }, &client_, &fetches_});
    ASSERT_TRUE(opened.has_value()) << opened.error();
    agent_ = std::move(*opened);
  }

  testing::TempFolder folder_;
  kube::Metrics metrics_;
  kube::FakeClock clock_;
  testing::ScriptedProvider provider_{clock_};
  controllers::testing::MemoryClient client_;
  FetchReporter fetches_{metrics_};
  std::unique_ptr<NodeAgent> agent_;
};

TEST_F(NewAgent, IsNotReadyAndSaysWhy) {
  kube::HealthChecks ready("readyz");
  agent_->add_checks(ready);
  const kube::HealthAnswer answer = ready.answer("/readyz");
  EXPECT_EQ(answer.status, 500);
  EXPECT_THAT(answer.body, HasSubstr("the CSI service has not started"));
  EXPECT_THAT(answer.body, HasSubstr("GoBuildEnvs have not been listed yet"));
}

/// A counter that begins with its first event shows a scraper no increase: alerts would miss it.
TEST_F(NewAgent, HasAllItsSeries) {
  const std::string text = metrics_.text();
  for (const char* name : {"toolchain_fetches_total{result=\"ok\"} 0",
                           "toolchain_fetches_in_progress 0",
                           "toolchain_fetch_bytes_total 0",
                           "toolchain_fetch_seconds_count 0",
                           "toolchain_verification_failures_total 0",
                           "csi_volumes{kind=\"toolchain\"} 0",
                           "csi_volumes{kind=\"modules\"} 0",
                           "csi_volumes{kind=\"build\"} 0",
                           "csi_calls_total{code=\"OK\",method=\"NodePublishVolume\"} 0",
                           "csi_calls_total{code=\"OK\",method=\"NodeUnpublishVolume\"} 0",
                           "csi_call_seconds_count{method=\"NodePublishVolume\"} 0",
                           "csi_toolchain_waits_total 0",
                           "csi_unavailable_volumes_total 0",
                           "cache_units{kind=\"toolchain\"} 0",
                           "cache_bytes{kind=\"trash\"} 0",
                           "cache_inodes{kind=\"builds\"} 0",
                           "cache_promotions_total{result=\"published\"} 0",
                           "cache_promotions_total{result=\"nothing-new\"} 0",
                           "cache_promotions_total{result=\"not-trusted\"} 0",
                           "cache_promotions_total{result=\"failed\"} 0",
                           "cache_refused_entries_total 0",
                           "collector_runs_total{result=\"ok\"} 0",
                           "collector_runs_total{result=\"problem\"} 0",
                           "collector_runs_total{result=\"failed\"} 0",
                           "collector_failures_total 0",
                           "collector_collected_units_total{kind=\"promotion\"} 0",
                           "collector_reclaimed_bytes_total{kind=\"module\"} 0",
                           "collector_reclaimed_inodes_total{kind=\"vcs\"} 0",
                           "collector_last_run_timestamp_seconds ",
                           "collector_last_run_seconds ",
                           "collector_short_of_space 0",
                           "disk_bytes ",
                           "disk_free_bytes ",
                           "disk_inodes ",
                           "disk_free_inodes ",
                           "node_cache_writes_total{"}) {
    EXPECT_TRUE(has(text, std::string("gobuildenv_") + name)) << name;
  }
}

TEST(PromotionSeries, CountByOutcomeAndWhatWasRefused) {
  kube::Metrics metrics;
  const PromotionReporter reporter(metrics);
  PromotionResult result;
  result.kind = PromotionResult::Kind::Published;
  result.promotion.report.refused = 3;
  reporter.report(result);
  result = {};
  result.kind = PromotionResult::Kind::Failed;
  reporter.report(result);
  const std::string text = metrics.text();
  for (const char* sample :
       {"promotions_total{result=\"published\"} 1", "promotions_total{result=\"nothing-new\"} 0",
        "promotions_total{result=\"not-trusted\"} 0", "promotions_total{result=\"failed\"} 1",
        "refused_entries_total 3"}) {
    EXPECT_TRUE(has(text, std::string("gobuildenv_cache_") + sample)) << sample;
  }
}

}  // namespace
}  // namespace gobuildenv::agent
