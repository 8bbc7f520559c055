#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "support.hpp"

/// Pods as CI systems really make them: the right containers change, the others stay byte for byte,
/// and a second review of the result changes nothing.
namespace gobuildenv::webhooks::testing {
namespace {

const std::string kData = std::string(GBE_SOURCE_DIR) + "/tests/webhooks/testdata/ci-pods/";

Json read(const std::string& file) {
  std::ifstream in(kData + file);
  return Json::parse(in);
}

std::vector<std::string> files() {
  const Json expectations = read("expectations.json");
  std::vector<std::string> names;
  for (const auto& [file, ignored] : expectations.items()) names.push_back(file);
  return names;
}

void expect_unique(const Json& list, const char* key, const std::string& what) {
  std::set<std::string> seen;
  for (const Json& item : list) {
    EXPECT_TRUE(seen.insert(item.value(key, "")).second) << what << " twice: " << item.dump();
  }
}

class CiPods : public ::testing::TestWithParam<std::string> {};

TEST_P(CiPods, ChangesBuildContainersOnly) {
  const Json pod = read(GetParam());
  const Json expected = read("expectations.json")[GetParam()];
  FakeLookup lookup;
  lookup.csi = CsiDriver::Registered;
  goenv::PodPlan plan = small_plan();
  plan.delivery = goenv::Delivery::Volume;
  plan.toolchain_path = "/opt/gobuildenv/toolchain";
  lookup.serve("build", plan);

  const AdmissionResponse response = decide_pod(pod, lookup);
  ASSERT_TRUE(response.allowed);
  const Json changed = patched(pod, response);
  for (const Json& name : expected["change"]) {
    const Json before = container_of(pod, name);
    const Json after = container_of(changed, name);
    ASSERT_FALSE(before.is_null()) << name;
    const Json own = env_of(before, "CGO_ENABLED");
    EXPECT_EQ(env_of(after, "CGO_ENABLED")["value"], own.is_null() ? Json("0") : own["value"]);
    EXPECT_EQ(env_of(after, "GOENV")["value"], "/etc/gobuildenv/go.env") << name;
    EXPECT_FALSE(mount_at(after, "/etc/gobuildenv").is_null()) << name;
    for (const char* field : {"command", "args", "image", "terminationMessagePath", "workingDir"}) {
      EXPECT_EQ(before.value(field, Json()), after.value(field, Json())) << name << " " << field;
    }
    if (after.contains("volumeMounts")) expect_unique(after["volumeMounts"], "mountPath", name);
    expect_unique(after["env"], "name", name);
  }
  for (const Json& name : expected["leave"]) {
    ASSERT_FALSE(container_of(pod, name).is_null()) << name;
    EXPECT_EQ(container_of(pod, name).dump(), container_of(changed, name).dump());
  }
  if (changed["spec"].contains("volumes")) {
    expect_unique(changed["spec"]["volumes"], "name", "volume");
  }
  EXPECT_EQ(changed["metadata"]["labels"].contains("gobuildenv.dev/revision"),
            !expected["change"].empty());
}

TEST_P(CiPods, SecondReviewChangesNothing) {
  FakeLookup lookup;
  lookup.serve("build", small_plan());
  const Json once = patched(read(GetParam()), decide_pod(read(GetParam()), lookup));
  EXPECT_EQ(decide_pod(once, lookup).patch, "");
}

INSTANTIATE_TEST_SUITE_P(RealPods, CiPods, ::testing::ValuesIn(files()),
                         [](const ::testing::TestParamInfo<std::string>& file) {
                           std::string name = file.param.substr(0, file.param.size() - 5);
                           for (char& c : name) {
                             if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
                           }
                           return name;
                         });

TEST(CiPodsData, IsThere) { EXPECT_EQ(files().size(), 17U); }

}  // namespace
}  // namespace gobuildenv::webhooks::testing
