#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.hpp"
#include "webhooks/validating/gobuildenv.hpp"

namespace gobuildenv::webhooks::testing {
namespace {

using ::testing::HasSubstr;

Json object_with(const Json& spec) {
  return {{"apiVersion", "gobuildenv.dev/v1alpha1"},
          {"kind", "GoBuildEnv"},
          {"metadata", {{"name", "build"}, {"namespace", "ci"}}},
          {"spec", spec}};
}

Json good() { return object_with({{"toolchain", {{"version", "1.22.3"}}}}); }

Json bad() {
  return object_with({{"toolchain", {{"version", "1.2"}}}, {"flags", {"-toolexec=evil"}}});
}

AdmissionResponse answer(const Json& object, const Json& old = nullptr,
                         const std::string& sub_resource = "") {
  Json review = review_of(object);
  Json& request = review["request"];
  request["name"] = "build";
  request["resource"] = {
      {"group", "gobuildenv.dev"}, {"version", "v1alpha1"}, {"resource", "gobuildenvs"}};
  request["oldObject"] = old;
  request["operation"] = old.is_null() ? "CREATE" : "UPDATE";
  request["subResource"] = sub_resource;
  const std::string body = review.dump();
  const auto parsed = Review::parse(body);
  if (!parsed) {
    ADD_FAILURE() << parsed.error().message;
    return {};
  }
  return validate(*parsed);
}

TEST(Validating, AllowsWhatIsRight) {
  const AdmissionResponse response = answer(good());
  EXPECT_TRUE(response.allowed) << response.message;
}

TEST(Validating, DeniesWithEveryErrorInOneMessage) {
  const AdmissionResponse response = answer(bad());
  EXPECT_FALSE(response.allowed);
  EXPECT_EQ(response.code, 422);
  EXPECT_EQ(response.reason, "Invalid");
  EXPECT_THAT(response.message, HasSubstr("GoBuildEnv build is invalid"));
  EXPECT_THAT(response.message, HasSubstr("spec.toolchain.version"));
  EXPECT_THAT(response.message, HasSubstr("spec.flags[0]"));
  EXPECT_GE(response.causes.size(), 2U);
  const Json status = Json::parse(encode(response, "u"))["response"]["status"];
  EXPECT_EQ(status["details"]["causes"][0]["reason"], "FieldValueInvalid");
}

TEST(Validating, NamesFieldsOfAWrongType) {
  Json object = good();
  object["spec"]["toolchain"]["version"] = 1.2;
  const AdmissionResponse response = answer(object);
  EXPECT_FALSE(response.allowed);
  EXPECT_THAT(response.message, HasSubstr("spec.toolchain.version"));
}

TEST(Validating, SpeaksOnSpecChangesOnly) {
  Json labelled = bad();
  labelled["metadata"]["labels"] = {{"a", "b"}};
  EXPECT_TRUE(answer(labelled, bad()).allowed) << "an old object under a newer rule";
  Json mistyped = bad();
  mistyped["spec"]["flags"] = 3;
  EXPECT_TRUE(answer(mistyped, mistyped).allowed);
  EXPECT_FALSE(answer(mistyped, good()).allowed);
  Json defaulted = bad();
  defaulted["spec"]["toolchain"]["switching"] = "Pinned";
  EXPECT_TRUE(answer(defaulted, bad()).allowed) << "the same spec in other words";
  EXPECT_FALSE(answer(bad(), good()).allowed);
  EXPECT_TRUE(answer(good(), bad()).allowed);
  Json deleted = bad();
  deleted["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  EXPECT_TRUE(answer(deleted, good()).allowed);
  EXPECT_TRUE(answer(bad(), good(), "status").allowed);
}

TEST(Validating, AnswersHostileObjects) {
  for (const char* text : {"{}", R"({"spec":null})", R"({"spec":[]})", R"({"metadata":3})",
                           R"({"spec":{"toolchain":[[]],"flags":{"a":1}}})"}) {
    EXPECT_NO_THROW(answer(Json::parse(text))) << text;
    EXPECT_NO_THROW(answer(good(), Json::parse(text))) << text;
  }
}

}  // namespace
}  // namespace gobuildenv::webhooks::testing
