// Against a real API server, when GBE_TEST_KUBECONFIG names its kubeconfig: the client, watches and
// paging over real TLS. It works in a namespace of its own and removes it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>

#include "kube/config_loader.hpp"
#include "kube/make_client.hpp"
#include "kube/request_builder.hpp"

namespace gobuildenv::kube {
namespace {

using nlohmann::json;
using std::chrono::seconds;

const ResourceType kConfigMaps{"", "v1", "configmaps", "ConfigMap", true};
const ResourceType kNamespaces{"", "v1", "namespaces", "Namespace", false};

class Live : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* file = std::getenv("GBE_TEST_KUBECONFIG");
    if (file == nullptr) {
      GTEST_SKIP() << "GBE_TEST_KUBECONFIG names no kubeconfig";
    }
    LoadOptions load;
    load.kubeconfig = file;
    auto config = load_cluster_config(load);
    ASSERT_TRUE(config) << config.error().text();
    auto parts = make_client_parts(*config, clock_);
    ASSERT_TRUE(parts) << parts.error().text();
    parts_ = *parts;
    client_ = client({});
    ns_ = "live-" + std::to_string(std::random_device{}() % 1000000);
    auto made = client_->create(
        kNamespaces, "",
        json{{"metadata", {{"name", ns_}}}, {"kind", "Namespace"}, {"apiVersion", "v1"}}.dump(),
        soon());
    ASSERT_TRUE(made) << made.error().message;
  }
  void TearDown() override {
    if (client_) {
      EXPECT_TRUE(client_->remove(kNamespaces, {"", ns_}, {}, soon()));
    }
  }

  std::unique_ptr<Client> client(WriteFence fence) {
    ClientOptions options;
    options.clock = &clock_;
    options.fence = std::move(fence);
    options.random = make_random();
    return make_client(parts_, std::move(options));
  }
  Deadline soon() { return clock_.now() + seconds(20); }
  json map(const std::string& name, const std::string& value) {
    return {{"apiVersion", "v1"},
            {"kind", "ConfigMap"},
            {"metadata", {{"name", name}, {"namespace", ns_}, {"labels", {{"live", "yes"}}}}},
            {"data", {{"a", value}}}};
  }
  /// The next line of a watch.
  json next_event(ByteStream& stream) {
    while (pending_.find('\n') == std::string::npos) {
      char chunk[4096];
      auto got = stream.read(chunk, sizeof chunk, soon());
      EXPECT_TRUE(got) << got.error().message;
      if (!got || *got == 0) {
        return {};
      }
      pending_.append(chunk, *got);
    }
    const auto end = pending_.find('\n');
    json event = json::parse(pending_.substr(0, end));
    pending_.erase(0, end + 1);
    return event;
  }

  RealClock clock_;
  ClientParts parts_;
  std::unique_ptr<Client> client_;
  std::string ns_;
  std::string pending_;
};

TEST_F(Live, CreatesReadsChangesWatchesAndDeletes) {
  auto created = client_->create(kConfigMaps, ns_, map("one", "1").dump(), soon());
  ASSERT_TRUE(created) << created.error().message;
  const std::string first = json::parse(*created)["metadata"]["resourceVersion"];

  auto again = client_->create(kConfigMaps, ns_, map("one", "1").dump(), soon());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, Error::Kind::AlreadyExists);

  WatchOptions watch;
  watch.ns = ns_;
  watch.resource_version = first;
  watch.label_selector = "live=yes";
  auto stream = client_->watch(kConfigMaps, watch);
  ASSERT_TRUE(stream) << stream.error().message;

  auto applied = client_->apply(kConfigMaps, {ns_, "one"}, map("one", "2").dump(), {}, soon());
  ASSERT_TRUE(applied) << applied.error().message;
  json event = next_event(**stream);
  EXPECT_EQ(event["type"], "MODIFIED");
  EXPECT_EQ(event["object"]["data"]["a"], "2");

  auto patched =
      client_->patch(kConfigMaps, {ns_, "one"}, R"({"data":{"a":"3"}})", kMergePatch, "", soon());
  ASSERT_TRUE(patched) << patched.error().message;
  EXPECT_EQ(next_event(**stream)["object"]["data"]["a"], "3");

  json stale = map("one", "4");
  stale["metadata"]["resourceVersion"] = first;
  auto updated = client_->update(kConfigMaps, {ns_, "one"}, stale.dump(), "", soon());
  ASSERT_FALSE(updated);
  EXPECT_EQ(updated.error().kind, Error::Kind::Conflict);

  json unknown = map("one", "5");
  unknown["spek"] = 1;
  auto strict = client_->apply(kConfigMaps, {ns_, "one"}, unknown.dump(), {}, soon());
  ASSERT_FALSE(strict);
  EXPECT_EQ(strict.error().kind, Error::Kind::Invalid) << strict.error().message;

  auto wrong = client_->remove(kConfigMaps, {ns_, "one"}, {"not-this-uid", ""}, soon());
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind, Error::Kind::Conflict);
  const std::string uid = json::parse(*created)["metadata"]["uid"];
  EXPECT_TRUE(client_->remove(kConfigMaps, {ns_, "one"}, {uid, ""}, soon()));
  EXPECT_EQ(next_event(**stream)["type"], "DELETED");
  auto gone = client_->get(kConfigMaps, {ns_, "one"}, soon());
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().kind, Error::Kind::NotFound);
}

TEST_F(Live, MetadataOnlyListsAndStreamsLeaveTheDataOut) {
  ASSERT_TRUE(client_->create(kConfigMaps, ns_, map("one", "1").dump(), soon()));
  ListOptions list;
  list.ns = ns_;
  list.label_selector = "live=yes";
  list.metadata_only = true;
  auto page = client_->list(kConfigMaps, list, soon());
  ASSERT_TRUE(page) << page.error().message;
  const json body = json::parse(page->body);
  EXPECT_EQ(body["kind"], "PartialObjectMetadataList");
  ASSERT_EQ(body["items"].size(), 1U);
  EXPECT_FALSE(body["items"][0].contains("data"));

  WatchOptions watch;
  watch.ns = ns_;
  watch.metadata_only = true;
  watch.send_initial_events = true;
  watch.label_selector = "live=yes";
  auto stream = client_->watch(kConfigMaps, watch);
  ASSERT_TRUE(stream) << stream.error().message;
  const json event = next_event(**stream);
  EXPECT_EQ(event["type"], "ADDED");
  EXPECT_EQ(event["object"]["kind"], "PartialObjectMetadata");
}

TEST_F(Live, AVersionFromTheFutureMeansListAnew) {
  ListOptions list;
  list.ns = ns_;
  list.resource_version = "999999999999";
  list.resource_version_match = "NotOlderThan";
  auto page = client_->list(kConfigMaps, list, soon());
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().kind, Error::Kind::Gone) << page.error().message;
}

TEST_F(Live, AClosedFenceSendsNothing) {
  auto fenced = client([] { return false; });
  auto written = fenced->apply(kConfigMaps, {ns_, "fenced"}, map("fenced", "1").dump(), {}, soon());
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().kind, Error::Kind::ShuttingDown);
  EXPECT_FALSE(fenced->get(kConfigMaps, {ns_, "fenced"}, soon()));
}

TEST_F(Live, AnswersRawPaths) {
  auto ready = client_->get_raw("/readyz", soon());
  ASSERT_TRUE(ready) << ready.error().message;
  EXPECT_EQ(*ready, "ok");
}

}  // namespace
}  // namespace gobuildenv::kube
