#include "kube/object_meta.hpp"

#include <gtest/gtest.h>

namespace gobuildenv::kube {
namespace {

TEST(ObjectMeta, DecodesWhatControllersNeed) {
  const auto header = decode_header(R"({"apiVersion":"v1","kind":"Pod","spec":{"metadata":1},
    "metadata":{"name":"a","namespace":"ns","uid":"u","resourceVersion":"5","generation":3,
      "creationTimestamp":"2026-01-02T03:04:05Z","deletionTimestamp":"2026-01-02T04:00:00Z",
      "labels":{"x/y":"z","quote":"\"\u00e9"},"annotations":{"k":""},
      "ownerReferences":[{"apiVersion":"g/v1","kind":"K","name":"o","uid":"ou","controller":true,
        "blockOwnerDeletion":true},{"kind":"L","name":"p","uid":"pu","apiVersion":"v1"}],
      "finalizers":["f"],"managedFields":[{"manager":"m","fieldsV1":{"f:a":{}}}]}})");
  ASSERT_TRUE(header) << header.error();
  EXPECT_EQ(header->meta.key, (ObjectKey{"ns", "a"}));
  EXPECT_EQ(header->meta.uid, "u");
  EXPECT_EQ(header->meta.resource_version, "5");
  EXPECT_EQ(header->generation, 3);
  EXPECT_EQ(header->creation_timestamp, "2026-01-02T03:04:05Z");
  EXPECT_EQ(header->deletion_timestamp, "2026-01-02T04:00:00Z");
  EXPECT_EQ(header->labels, (std::map<std::string, std::string>{{"quote", "\"é"}, {"x/y", "z"}}));
  EXPECT_EQ(header->annotations, (std::map<std::string, std::string>{{"k", ""}}));
  ASSERT_EQ(header->owners.size(), 2U);
  EXPECT_EQ(header->owners[0].uid, "ou");
  EXPECT_TRUE(header->owners[0].controller);
  EXPECT_FALSE(header->owners[1].controller);
  EXPECT_EQ(header->finalizers, std::vector<std::string>{"f"});
}

TEST(ObjectMeta, NullsAndMissingFieldsAreEmpty) {
  const auto header = decode_header(
      R"({"metadata":{"creationTimestamp":null,"labels":null,"ownerReferences":null}})");
  ASSERT_TRUE(header) << header.error();
  EXPECT_TRUE(header->labels.empty());
  EXPECT_TRUE(header->meta.key.name.empty());
}

TEST(ObjectMeta, WrongTypesAreNamed) {
  struct Case {
    const char* json;
    const char* field;
  };
  for (const auto& [json, field] :
       {Case{R"({"metadata":{"name":1}})", "metadata.name"},
        Case{R"({"metadata":{"labels":{"a":1}}})", "metadata.labels"},
        Case{R"({"metadata":{"labels":[]}})", "metadata.labels"},
        Case{R"({"metadata":{"generation":"1"}})", "metadata.generation"},
        Case{R"({"metadata":{"ownerReferences":[1]}})", "metadata.ownerReferences"},
        Case{R"({"metadata":{"deletionTimestamp":nul,"x":1}})", "metadata.deletionTimestamp"},
        Case{R"({"metadata":[]})", "metadata"}, Case{"[]", "metadata"}, Case{"", "metadata"},
        Case{R"({"metadata":{"name":"a")", "metadata"}}) {
    const auto header = decode_header(json);
    ASSERT_FALSE(header) << json;
    EXPECT_NE(header.error().find(field), std::string::npos) << header.error();
  }
}

TEST(ObjectMeta, IdentityOfABookmark) {
  const auto identity = decode_identity(
      R"({"metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}})");
  ASSERT_TRUE(identity) << identity.error();
  EXPECT_TRUE(identity->initial_events_end);
  EXPECT_EQ(identity->meta.resource_version, "9");
  EXPECT_FALSE(
      decode_identity(R"({"metadata":{"annotations":{"k8s.io/initial-events-end":"false"}}})")
          ->initial_events_end);
}

// Longer than the thread's reusable buffer.
TEST(ObjectMeta, LargeObjects) {
  const std::string json =
      R"({"spec":")" + std::string(1 << 20, 'x') + R"(","metadata":{"name":"big"}})";
  EXPECT_EQ(decode_identity(json)->meta.key.name, "big");
}

}  // namespace
}  // namespace gobuildenv::kube
