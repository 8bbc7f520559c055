#include "agent/node/startup_taint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/controllers/memory_client.hpp"

namespace gobuildenv::agent {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

TEST(StartupTaint, IsReadAsKubectlWritesIt) {
  const auto bare = parse_taint("gobuildenv.dev/agent-not-ready:NoSchedule");
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->key, "gobuildenv.dev/agent-not-ready");
  EXPECT_EQ(bare->value, "");
  EXPECT_EQ(bare->effect, "NoSchedule");
  EXPECT_EQ(parse_taint("a=b:NoExecute")->value, "b");
  for (const char* bad : {"", "a", ":NoSchedule", "a:", "a:Never", "=b:NoSchedule"}) {
    const auto parsed = parse_taint(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_THAT(parsed.error(), HasSubstr("write \"key:Effect\""));
  }
}

Json node() {
  return Json::parse(R"({"metadata":{"name":"n"},"spec":{"taints":[
      {"key":"other","effect":"NoSchedule"},
      {"key":"gbe","effect":"NoExecute"},
      {"key":"gbe","value":"x","effect":"NoSchedule","timeAdded":"2026-11-22T10:58:50Z"}]}})");
}

TEST(StartupTaint, IsTakenAwayOnlyAsItWasSeen) {
  const auto patch = untaint_patch(node().dump(), *parse_taint("gbe:NoSchedule"));
  ASSERT_TRUE(patch);
  EXPECT_EQ(node().patch(Json::parse(*patch))["spec"]["taints"].size(), 2U);
  Json changed = node();
  changed["spec"]["taints"].erase(0);
  EXPECT_THROW(changed.patch(Json::parse(*patch)), Json::exception);
  EXPECT_TRUE(untaint_patch(node().dump(), *parse_taint("gbe=x:NoSchedule")));
  for (const char* none : {"gbe=y:NoSchedule", "gbe:PreferNoSchedule", "gb:NoSchedule"}) {
    EXPECT_FALSE(untaint_patch(node().dump(), *parse_taint(none))) << none;
  }
  EXPECT_FALSE(untaint_patch("{}", *parse_taint("gbe:NoSchedule")));
  EXPECT_FALSE(untaint_patch("nonsense", *parse_taint("gbe:NoSchedule")));
}

/// Applies JSON patches, the first after the Node has changed.
class NodeClient : public controllers::testing::MemoryClient {
 public:
  int patches = 0;
  Result patch(const kube::ResourceType&, const kube::ObjectKey&, std::string_view body,
               const std::string& content_type, const std::string&, kube::Deadline) override {
    EXPECT_EQ(content_type, "application/json-patch+json");
    Json& stored = at("nodes", "n");
    if (++patches == 1) stored["spec"]["taints"].erase(0);
    try {
      stored = stored.patch(Json::parse(body));
    } catch (const Json::exception&) {
      kube::Error error;
      error.kind = Kind::Invalid;
      return tl::unexpected(error);
    }
    return stored.dump();
  }
};

TEST(StartupTaint, OfANodeThatChangesMeanwhileToo) {
  NodeClient client;
  client.put("nodes", node());
  const auto taint = *parse_taint("gbe:NoSchedule");
  const auto removed = remove_taint(client, "n", taint, kube::Deadline::max());
  ASSERT_TRUE(removed);
  EXPECT_TRUE(*removed);
  EXPECT_EQ(client.patches, 2);
  EXPECT_EQ(client.at("nodes", "n")["spec"]["taints"].size(), 1U);
  EXPECT_FALSE(*remove_taint(client, "n", taint, kube::Deadline::max()));
  client.fail_gets = kube::Error::Kind::Forbidden;
  EXPECT_FALSE(remove_taint(client, "n", taint, kube::Deadline::max()));
}

}  // namespace
}  // namespace gobuildenv::agent
