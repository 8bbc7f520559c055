#include "goenv/pod_plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace gobuildenv::goenv {
namespace {

using ::testing::HasSubstr;

/// Text that JSON can carry: no NUL bytes to keep C strings out of it, no broken UTF-8.
rc::Gen<std::string> text() {
  return rc::gen::container<std::string>(
      rc::gen::oneOf(rc::gen::inRange<char>(1, 127), rc::gen::element('"', '\\', '\n', '\t', '$')));
}

template <class T>
std::vector<T> distinct(std::vector<T> items, std::string T::*key) {
  std::set<std::string> seen;
  std::erase_if(items, [&](const T& item) { return !seen.insert(item.*key).second; });
  return items;
}

PodPlan arbitrary_plan() {
  PodPlan plan;
  plan.renderer = *text();
  plan.toolchain = *text();
  plan.delivery = *rc::gen::element(Delivery::Volume, Delivery::Download);
  plan.cgo = *rc::gen::element(CgoPolicy::Disabled, CgoPolicy::Enabled, CgoPolicy::Auto);
  plan.enforcement = *rc::gen::element(Enforcement::Prefer, Enforcement::Enforce);
  plan.preflight = *rc::gen::element(Preflight::Off, Preflight::Warn, Preflight::Require);
  for (const auto& [name, value] :
       *rc::gen::container<std::vector<std::pair<std::string, std::string>>>(
           rc::gen::pair(text(), text()))) {
    plan.env.push_back({name, value});
    plan.files.push_back({value, name});
  }
  plan.env = distinct(std::move(plan.env), &EnvVar::name);
  plan.files = distinct(std::move(plan.files), &FileMount::path);
  for (const auto& name : *rc::gen::container<std::vector<std::string>>(text())) {
    plan.launcher_env.push_back({name, *text()});
  }
  plan.files_path = *text();
  const auto caches = *rc::gen::inRange(0, 4);
  for (int i = 0; i < caches; ++i) {
    plan.caches.push_back({.volume = "v" + *text(),
                           .mount_path = "/" + *text(),
                           .kind = *text(),
                           .scope = *rc::gen::element(CacheScope::Pod, CacheScope::Environment,
                                                      CacheScope::Namespace)});
  }
  plan.toolchain_path = *text();
  plan.credentials_secret = *text();
  plan.credentials_path = *text();
  plan.ca_config_map = *text();
  plan.ca_key = *text();
  plan.ca_path = *text();
  plan.conda_base_image = *text();
  plan.include = *rc::gen::container<std::vector<std::string>>(text());
  plan.exclude = *rc::gen::container<std::vector<std::string>>(text());
  return plan;
}

RC_GTEST_PROP(PodPlanCodec, GivesBackWhatWasEncoded, ()) {
  const PodPlan plan = arbitrary_plan();
  const std::string json = encode(plan);
  const auto decoded = decode_pod_plan(json);
  RC_ASSERT(decoded.has_value());
  // Encoding is injective on plans (every field is written), so equal text means equal plans.
  RC_ASSERT(encode(*decoded) == json);
  RC_ASSERT(decoded->env.size() == plan.env.size());
  RC_ASSERT(decoded->launcher_env.size() == plan.launcher_env.size());
  RC_ASSERT(decoded->ca_key == plan.ca_key);
}

RC_GTEST_PROP(PodPlanCodec, WritesJsonThatOthersRead, ()) {
  const PodPlan plan = arbitrary_plan();
  const auto json = nlohmann::json::parse(encode(plan));
  for (const EnvVar& var : plan.env) RC_ASSERT(json.at("env").at(var.name) == var.value);
}

TEST(PodPlanCodec, LeavesEmptyFieldsOut) {
  EXPECT_EQ(encode(PodPlan{}),
            R"({"format":1,"delivery":"Volume","cgo":"Disabled","enforcement":"Prefer",)"
            R"("preflight":"Warn"})");
}

TEST(PodPlanCodec, KeepsTheOrderOfVariables) {
  PodPlan plan;
  plan.env = {{"Z", "1"}, {"A", ""}, {"M", "3"}};
  const auto decoded = decode_pod_plan(encode(plan));
  ASSERT_TRUE(decoded);
  ASSERT_EQ(decoded->env.size(), 3U);
  EXPECT_EQ(decoded->env[0].name, "Z");
  EXPECT_EQ(decoded->env[1].name, "A");
  EXPECT_EQ(decoded->env[1].value, "");
}

TEST(PodPlanCodec, ReadsLauncherVariablesWithAndWithoutValues) {
  const auto first = decode_pod_plan(R"({"format":1,"launcherEnv":["CC","CXX"]})");
  ASSERT_TRUE(first) << "renderer 1 wrote no values";
  ASSERT_EQ(first->launcher_env.size(), 2U);
  EXPECT_EQ(first->launcher_env[1].name, "CXX");
  EXPECT_EQ(first->launcher_env[1].value, std::nullopt);
  const auto second =
      decode_pod_plan(R"({"format":1,"launcherEnv":["CC","CXX"],"launcherValues":["gcc","g++"]})");
  ASSERT_TRUE(second);
  EXPECT_EQ(second->launcher_env[1].value, "g++");
}

TEST(PodPlanCodec, IgnoresWhatItDoesNotKnow) {
  EXPECT_TRUE(decode_pod_plan(R"({"format":1,"later":{"x":[1]},"toolchain":"1.22.3"})"));
}

struct Bad {
  const char* name;
  std::string json;
  const char* error;
};
void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.name; }

class HostilePlan : public ::testing::TestWithParam<Bad> {};

TEST_P(HostilePlan, IsAnErrorThatNamesTheField) {
  const auto decoded = decode_pod_plan(GetParam().json);
  ASSERT_FALSE(decoded);
  EXPECT_THAT(decoded.error(), HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    Table, HostilePlan,
    ::testing::Values(
        Bad{"empty", "", "pod.json"}, Bad{"truncated", R"({"format":1,"env":{"A":"b")", "pod.json"},
        Bad{"not_an_object", "[1]", "pod.json"}, Bad{"trailing", R"({"format":1}{})", "pod.json"},
        Bad{"no_format", R"({"toolchain":"1.22.3"})", "\"format\""},
        Bad{"format_as_text", R"({"format":"1"})", "\"format\""},
        Bad{"format_zero", R"({"format":0})", "\"format\""},
        Bad{"format_huge", R"({"format":99999999999999999999999})", "pod.json"},
        Bad{"newer_format", R"({"format":2})", "newer operator"},
        Bad{"toolchain_number", R"({"format":1,"toolchain":1.22})", "\"toolchain\""},
        Bad{"unknown_delivery", R"({"format":1,"delivery":"Pigeon"})", "Pigeon"},
        Bad{"env_list", R"({"format":1,"env":["A"]})", "\"env\""},
        Bad{"env_number", R"({"format":1,"env":{"A":1}})", "\"env\""},
        Bad{"files_text", R"({"format":1,"files":"go"})", "\"files\""},
        Bad{"caches_object", R"({"format":1,"caches":{}})", "\"caches\""},
        Bad{"caches_text", R"({"format":1,"caches":["x"]})", "\"caches\""},
        Bad{"cache_without_path", R"({"format":1,"caches":[{"volume":"v"}]})", "\"caches\""},
        Bad{"cache_scope", R"({"format":1,"caches":[{"volume":"v","path":"/p","scope":"All"}]})",
            "All"},
        Bad{"a_launcher_value_short",
            R"({"format":1,"launcherEnv":["CC","CXX"],"launcherValues":["gcc"]})",
            "\"launcherValues\""},
        Bad{"include_number", R"({"format":1,"include":[1]})", "\"include\""},
        Bad{"broken_utf8", "{\"format\":1,\"toolchain\":\"\xff\xfe\"}", "pod.json"},
        Bad{"deep", std::string(20000, '['), "pod.json"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace gobuildenv::goenv
