#include "operator/uninstall.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/kube/fake_client.hpp"

/// When the operator may be removed.
namespace gobuildenv::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Json = nlohmann::json;
using Kind = kube::Error::Kind;
using std::chrono::seconds;

Json pod(const std::string& name, const std::string& phase, bool ending = false,
         const std::string& driver = "gobuildenv.dev") {
  Json out{{"metadata", {{"namespace", "ci"}, {"name", name}}},
           {"spec",
            {{"nodeName", "n1"},
             {"volumes",
              {{{"name", "a"}, {"emptyDir", Json::object()}},
               {{"name", "b"}, {"csi", {{"driver", driver}}}}}}}},
           {"status", {{"phase", phase}}}};
  if (ending) out["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  return out;
}

TEST(VolumeHolder, IsWhoCouldNotEndWithoutTheAgent) {
  struct Case {
    Json pod;
    bool holds;
  };
  const Case cases[] = {
      {pod("p", "Running"), true},
      {pod("p", "Pending"), true},
      {pod("p", "Succeeded"), false},
      {pod("p", "Failed"), false},
      {pod("p", "Succeeded", true), true},
      {pod("p", "Running", true), true},
      {pod("p", "Running", false, "other.example"), false},
      {Json{{"metadata", {{"name", "p"}}}}, false},
      {Json{{"spec", {{"volumes", nullptr}}}}, false},
  };
  for (const Case& c : cases) {
    const auto holder = read_volume_holder(c.pod.dump());
    ASSERT_TRUE(holder) << c.pod;
    EXPECT_EQ(holder->has_value(), c.holds) << c.pod;
  }
  EXPECT_EQ(read_volume_holder(pod("p", "Running", true).dump())->value(),
            (VolumeHolder{"ci/p", "n1", true}));
  EXPECT_FALSE(read_volume_holder("[]"));
}

/// A cluster whose pods change with each look at them.
class FakeCluster : public kube::testing::FakeClient {
 public:
  explicit FakeCluster(kube::FakeClock& clock) : clock_(clock) {
    on_get = [this](const kube::ObjectKey& key) -> Result {
      asked_for = key.name;
      if (!registered) return tl::unexpected(kube::testing::error_of(Kind::NotFound, 404));
      return R"({"metadata":{"uid":"u1"}})";
    };
    on_list = [this](const kube::ListOptions&) -> tl::expected<kube::ListPage, kube::Error> {
      EXPECT_TRUE(removed.size() == 2 || !stops) << "injection goes first";
      clock_.advance(seconds(1));
      const std::size_t now = std::min(looks++, pods.size() - 1);
      return kube::ListPage{
          Json{{"metadata", {{"resourceVersion", "1"}}}, {"items", pods[now]}}.dump()};
    };
  }
  tl::expected<void, kube::Error> remove(const kube::ResourceType& type, const kube::ObjectKey&,
                                         const kube::DeleteOptions& options,
                                         kube::Deadline) override {
    EXPECT_EQ(options.uid, "u1");
    if (refuse) return tl::unexpected(kube::testing::error_of(Kind::Forbidden, 403, "no right"));
    removed.push_back(type.kind);
    return {};
  }

  std::vector<Json> pods{Json::array()};  ///< at each look; the last one stays
  bool registered = true;
  bool refuse = false;
  bool stops = true;
  std::size_t looks = 0;
  std::string asked_for;
  std::vector<std::string> removed;

 private:
  kube::FakeClock& clock_;
};

class PrepareUninstall : public ::testing::Test {
 protected:
  PrepareUninstall() {
    options_.poll = seconds(0);
    options_.settle = seconds(3);
    options_.webhook_config = "ours";
  }
  auto run() {
    return prepare_uninstall(cluster_, clock_, options_,
                             [this](const auto& holders) { waited_.push_back(holders.size()); });
  }
  kube::FakeClock clock_;
  FakeCluster cluster_{clock_};
  UninstallOptions options_;
  std::vector<std::size_t> waited_;
};

TEST_F(PrepareUninstall, StopsInjectionThenLooksUntilAllIsQuiet) {
  ASSERT_THAT(run().value(), IsEmpty());
  EXPECT_EQ(cluster_.asked_for, "ours");
  EXPECT_THAT(cluster_.removed,
              ElementsAre("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"));
  EXPECT_EQ(cluster_.looks, 4U) << "a second each, three without a holder";
}

TEST_F(PrepareUninstall, RefusesWhileAPodHoldsAVolume) {
  cluster_.pods = {Json::array({pod("busy", "Running"), pod("over", "Succeeded")})};
  const auto holders = run();
  ASSERT_TRUE(holders);
  EXPECT_THAT(*holders, ElementsAre(VolumeHolder{"ci/busy", "n1", false}));
  EXPECT_EQ(cluster_.looks, 1U);
  EXPECT_EQ(cluster_.removed.size(), 2U) << "no further pod comes to hold one";
  const std::string said = uninstall_text(*holders, options_);
  EXPECT_THAT(said, HasSubstr("1 pod holds a volume"));
  EXPECT_THAT(said, HasSubstr("  ci/busy, on node n1\n"));
  EXPECT_THAT(said, HasSubstr("helm upgrade"));
}

TEST_F(PrepareUninstall, WaitsForPodsToEnd) {
  const Json two = Json::array({pod("a", "Running"), pod("b", "Pending")});
  const Json one = Json::array({pod("a", "Running", true)});
  // A review that was under way brings one more after all had gone.
  cluster_.pods = {two, two, one, Json::array(), one, Json::array()};
  options_.wait = seconds(60);
  ASSERT_THAT(run().value(), IsEmpty());
  EXPECT_THAT(waited_, ElementsAre(2U, 1U));
  EXPECT_EQ(cluster_.looks, 9U);
}

TEST_F(PrepareUninstall, WaitsNoLongerThanItIsTold) {
  cluster_.pods = {Json::array({pod("a", "Running")})};
  options_.wait = seconds(5);
  EXPECT_EQ(run().value().size(), 1U);
  EXPECT_EQ(cluster_.looks, 5U);
}

TEST_F(PrepareUninstall, ACheckChangesNothing) {
  cluster_.pods = {Json::array({pod("a", "Running")})};
  cluster_.stops = false;
  options_.only_check = true;
  options_.wait = seconds(60);
  const auto holders = run();
  EXPECT_EQ(holders.value().size(), 1U);
  EXPECT_THAT(cluster_.removed, IsEmpty());
  EXPECT_EQ(cluster_.looks, 1U);
  EXPECT_THAT(uninstall_text(*holders, options_), Not(HasSubstr("webhooks")));
}

TEST_F(PrepareUninstall, WebhooksThatAreGoneAlreadyAreFine) {
  cluster_.registered = false;
  cluster_.stops = false;
  EXPECT_THAT(run().value(), IsEmpty());
}

TEST_F(PrepareUninstall, DoesNotLookWhereItMayNotStopInjection) {
  cluster_.refuse = true;
  EXPECT_EQ(run().error().kind, Kind::Forbidden);
  EXPECT_EQ(cluster_.looks, 0U);
}

TEST(UninstallText, NamesTheFirstFew) {
  std::vector<VolumeHolder> many(25, {"ci/x", "", true});
  EXPECT_THAT(uninstall_text(many, {}), HasSubstr("ci/x, not on a node yet, being deleted\n"));
  EXPECT_THAT(uninstall_text(many, {}), HasSubstr("and 5 more\n"));
  EXPECT_THAT(uninstall_text({}, {}), HasSubstr("can be removed"));
}

}  // namespace
}  // namespace gobuildenv::cli
