#include "agent/node/cluster_view.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "tests/agent/temp_folder.hpp"
#include "tests/kube/fake_client.hpp"

namespace gobuildenv::agent {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;
using testing::TempFolder;
using testing::write_file;

const NodePlatform kPlatform{"linux", "amd64"};

std::string list_of(const std::string& items) {
  return R"({"kind":"List","metadata":{"resourceVersion":"9"},"items":[)" + items + "]}";
}

std::string environment(const std::string& ns, const std::string& name, const std::string& scope) {
  return R"({"apiVersion":"gobuildenv.dev/v1alpha1","kind":"GoBuildEnv","metadata":{"name":")" +
         name + R"(","namespace":")" + ns + R"(","uid":")" + ns + "-" + name +
         R"(","resourceVersion":"7"},"spec":{"toolchain":{"version":"1.22.3"},"cache":)" +
         R"({"modules":{"scope":")" + scope + R"("},"retention":{"unusedFor":"3h"}}},"status":{}})";
}

const std::string kPod =
    R"({"kind":"Pod","metadata":{"name":"build","namespace":"ci","uid":"pod","resourceVersion":"3"},)"
    R"("spec":{"volumes":[{"name":"m","csi":{"driver":"gobuildenv.dev","volumeAttributes":)"
    R"({"kind":"modules","environment":"shared","scope":"Environment"}}}]},)"
    R"("status":{"phase":"Pending"}})";

class View : public ::testing::Test {
 protected:
  /// Lists of both kinds; watches are refused, which informers survive.
  View() {
    environment_client_.on_list = [this](const auto&) {
      return kube::ListPage{list_of(environment_items_)};
    };
    pod_client_.on_list = [](const auto&) { return kube::ListPage{list_of(kPod)}; };
    kube::InformerOptions environments;
    environments.type = {"gobuildenv.dev", "v1alpha1", "gobuildenvs", "GoBuildEnv", true};
    environments.watch.streaming_list = false;
    environments_.emplace(
        kube::InformerRuntime{environment_client_, clock_, [] { return 0.5; }}, environments,
        [](std::string_view json) { return decode_environment(json, kPlatform); });
    kube::InformerOptions pods = watch_pods_of("node-1");
    EXPECT_EQ(pods.field_selector, "spec.nodeName=node-1");
    pods.watch.streaming_list = false;
    pods_.emplace(kube::InformerRuntime{pod_client_, clock_, [] { return 0.5; }}, pods, decode_pod);
    view_.emplace(
        folder_.path(), kPlatform, *environments_, *pods_,
        [this](const std::string& ns) {
          asked_.push_back(ns);
          return answers_ ? "uid-of-" + ns : std::string();
        },
        [this] { ++changes_; });
  }
  ~View() override {
    environments_->request_stop();
    pods_->request_stop();
    environments_->join();
    pods_->join();
  }
  void sync() {
    environments_->start();
    pods_->start();
    const auto deadline = std::chrono::steady_clock::now() + seconds(30);
    ASSERT_TRUE(environments_->wait_for_sync(deadline));
    ASSERT_TRUE(pods_->wait_for_sync(deadline));
  }
  [[nodiscard]] std::vector<std::string> roots() const {
    std::vector<std::string> out;
    for (const auto& root : view_->roots({})) out.push_back(root.path);
    return out;
  }

  TempFolder folder_;
  kube::FakeClock clock_;
  kube::testing::FakeClient environment_client_;
  kube::testing::FakeClient pod_client_;
  std::string environment_items_ = environment("ci", "shared", "Environment") + "," +
                                   environment("ci", "also", "Environment") + "," +
                                   environment("other", "own", "Pod");
  std::vector<std::string> asked_;
  bool answers_ = true;
  std::atomic<int> changes_{0};
  std::optional<kube::Informer<EnvironmentRecord>> environments_;
  std::optional<kube::Informer<PodRecord>> pods_;
  std::optional<ClusterView> view_;
};

TEST_F(View, EverythingIsNeededBeforeTheListsAreThere) {
  EXPECT_FALSE(view_->known());
  EXPECT_THAT(roots(), ElementsAre(""));
  sync();
  EXPECT_TRUE(view_->known());
  EXPECT_THAT(roots(), ElementsAre("toolchains/go1.22.3.linux-amd64"));
  EXPECT_EQ(changes_, 4);  // three environments and a pod
}

TEST_F(View, AsksForNamespacesOnceAndOnlyWhereThereAreSharedCaches) {
  sync();
  view_->refresh();
  EXPECT_THAT(asked_, ElementsAre());
  write_file(folder_.path("caches/uid-of-ci/shared/mod/lower/1/x"), "");
  view_->refresh();
  view_->refresh();
  EXPECT_THAT(asked_, ElementsAre("ci"));
  EXPECT_THAT(roots(), Contains("caches/uid-of-ci/shared/mod"));
  const collector::Limits limits = view_->limits({});
  EXPECT_EQ(limits.of("uid-of-ci/shared").unused_for, hours(3));
  EXPECT_EQ(limits.of("uid-of-ci/also").unused_for, hours(3));
  EXPECT_FALSE(limits.orphaned("uid-of-ci/shared"));
  EXPECT_TRUE(limits.orphaned("uid-of-ci/deleted"));
}

TEST_F(View, RemembersAllThatPodsAskFor) {
  sync();
  const auto paths = [this] {
    std::vector<std::string> out;
    for (const auto& root : view_->wanted().roots) out.push_back(root.path);
    return out;
  };
  EXPECT_THAT(view_->wanted().pods, ElementsAre("pod"));
  EXPECT_THAT(paths(), ElementsAre("caches", "toolchains/go1.22.3.linux-amd64"))
      << "which caches are the pod's is not known yet";
  write_file(folder_.path("caches/uid-of-ci/shared/mod/lower/1/x"), "");
  view_->refresh();
  EXPECT_THAT(paths(),
              ElementsAre("caches/uid-of-ci/shared/mod", "toolchains/go1.22.3.linux-amd64"));
}

TEST_F(View, CachesAreAllNeededWhileANamespaceIsNotKnown) {
  answers_ = false;
  sync();
  write_file(folder_.path("caches/uid-of-ci/shared/mod/lower/1/x"), "");
  view_->refresh();
  EXPECT_THAT(roots(), Contains("caches"));
  EXPECT_FALSE(view_->limits({}).orphaned("uid-of-ci/deleted"));
  answers_ = true;
  view_->refresh();
  EXPECT_THAT(roots(), Not(Contains("caches")));
}

}  // namespace
}  // namespace gobuildenv::agent
