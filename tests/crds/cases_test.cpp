#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "crds/gobuildenv.hpp"
#include "crds/yaml.hpp"
#include "goenv/text.hpp"

/// The case files that crd_conformance.py holds against a real API server, held against decode and
/// validate: what the API server refuses must be refused offline as well.
namespace gobuildenv::crds {
namespace {

struct Case {
  std::string title;
  std::vector<std::string> wants;
  std::vector<std::string> nevers;
  std::string yaml;
};

std::vector<Case> read_cases(const std::string& name) {
  std::ifstream file(std::string(GBE_SOURCE_DIR) + "/tests/crds/cases/" + name);
  EXPECT_TRUE(file) << name;
  std::vector<Case> cases(1);
  for (std::string line; std::getline(file, line);) {
    if (line == "---") {
      cases.emplace_back();
      continue;
    }
    auto& c = cases.back();
    c.yaml += line + "\n";
    if (line.starts_with("# case: ")) c.title = line.substr(8);
    if (line.starts_with("# want: ")) c.wants.push_back(line.substr(8));
    if (line.starts_with("# never: ")) c.nevers.push_back(line.substr(9));
  }
  return cases;
}

/// What decode and validate have to say about a spec in YAML; empty when nothing.
std::string judge(const std::string& yaml) {
  const auto documents = yaml_to_json(yaml);
  if (!documents) return documents.error().message;
  const auto spec = decode_spec(documents->at(0).json);
  return spec ? describe(goenv::validate(*spec)) : describe(spec.error());
}

TEST(Cases, AcceptedIsAccepted) {
  for (const auto& c : read_cases("accepted.yaml")) EXPECT_EQ(judge(c.yaml), "") << c.title;
}

TEST(Cases, WhatTheApiServerRefusesIsRefusedOffline) {
  for (const auto& c : read_cases("refused.yaml")) {
    const auto message = judge(c.yaml);
    EXPECT_NE(message, "") << c.title;
    for (const auto& never : c.nevers)
      EXPECT_THAT(message, testing::Not(testing::HasSubstr(never)));
  }
}

TEST(Cases, ValidatedIsRefusedWithTheWantedMessage) {
  for (const auto& c : read_cases("validated.yaml")) {
    const auto message = judge(c.yaml);
    ASSERT_FALSE(c.wants.empty()) << c.title;
    for (const auto& want : c.wants) EXPECT_THAT(message, testing::HasSubstr(want)) << c.title;
  }
}

}  // namespace
}  // namespace gobuildenv::crds
