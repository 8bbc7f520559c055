#include "webhooks/review.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "support.hpp"
#include "webhooks/handlers.hpp"

namespace gobuildenv::webhooks::testing {
namespace {

std::string decode_base64(const std::string& text) {
  static const std::string kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::size_t digit = kDigits.find(c);
    if (digit == std::string::npos) break;
    bits = (bits << 6U) | static_cast<unsigned>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>((bits >> static_cast<unsigned>(count)) & 0xFFU);
  }
  return out;
}

TEST(Review, EchoesUidVersionAndKind) {
  const Json answer = Json::parse(encode({}, "u\"1"));
  EXPECT_EQ(answer, Json::parse(R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview",
                                    "response":{"uid":"u\"1","allowed":true}})"));
}

TEST(Review, SendsPatchAndItsTypeTogether) {
  for (const std::string patch : {"[]", "[1]", "[12]", R"([{"op":"add"}])"}) {
    AdmissionResponse response;
    response.patch = patch;
    const Json answer = Json::parse(encode(response, "u"))["response"];
    EXPECT_EQ(answer["patchType"], "JSONPatch");
    EXPECT_EQ(decode_base64(answer["patch"]), patch);
    response.allowed = false;
    const Json denied = Json::parse(encode(response, "u"))["response"];
    EXPECT_FALSE(denied.contains("patch"));
    EXPECT_FALSE(denied.contains("patchType"));
  }
}

TEST(Review, EncodesPatchesOfEveryLengthAndByte) {
  AdmissionResponse response;
  for (int length = 1; length <= 300; ++length) {
    response.patch += static_cast<char>(length * 37);
    const std::string encoded = Json::parse(encode(response, "u"))["response"]["patch"];
    EXPECT_EQ(decode_base64(encoded), response.patch) << length;
    const auto padding = static_cast<std::ptrdiff_t>(2 - (response.patch.size() + 2) % 3);
    EXPECT_EQ(std::count(encoded.begin(), encoded.end(), '='), padding) << length;
    EXPECT_EQ(encoded.size() % 4, 0u) << length;
  }
}

TEST(Review, ReadsWhatDecisionsNeed) {
  const std::string body = review_of(small_pod()).dump();
  const auto review = Review::parse(body);
  ASSERT_TRUE(review);
  EXPECT_EQ(review->uid(), "u-1");
  EXPECT_EQ(review->ns(), "ci");
  EXPECT_EQ(review->operation(), "CREATE");
  EXPECT_EQ(review->resource(), "pods");
  EXPECT_EQ(review->user(), "ada");
  EXPECT_EQ(Json::parse(review->object_json()), small_pod());
  EXPECT_EQ(review->old_object_json(), "");
}

TEST(Review, TwoAtOnceDoNotDisturbEachOther) {
  Json other = review_of(small_pod());
  other["request"]["uid"] = "u-2";
  const std::string one = review_of(small_pod()).dump();
  const std::string two = other.dump();
  const auto first = Review::parse(one);
  const auto second = Review::parse(two);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->uid(), "u-1");
  EXPECT_EQ(second->uid(), "u-2");
}

/// What a hostile or broken client may send to the pod webhook: always a clean answer.
class Hostile : public ::testing::Test {
 protected:
  Hostile() { lookup_.serve("build", small_plan()); }
  int status(const std::string& body) { return make_pod_handler(lookup_, {}, {})(body).status; }
  FakeLookup lookup_;
};

TEST_F(Hostile, EveryTruncation) {
  const std::string whole = review_of(small_pod()).dump();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(status(whole.substr(0, size)), 400) << size;
  }
  EXPECT_EQ(status(whole), 200);
}

TEST_F(Hostile, EveryFieldOfEveryWrongType) {
  const Json whole = review_of(small_pod());
  const Json wrong[] = {nullptr,
                        true,
                        1,
                        -1.5,
                        "text",
                        Json::array(),
                        Json::object(),
                        Json::array({nullptr, 1, "x", Json::array(), Json::object()})};
  const Json flat = whole.flatten();
  for (const auto& [pointer, ignored] : flat.items()) {
    // The leaf, and every object and list above it.
    for (Json::json_pointer at(pointer); !at.empty(); at.pop_back()) {
      for (const Json& value : wrong) {
        Json changed = whole;
        changed[at] = value;
        const int code = status(changed.dump());
        EXPECT_TRUE(code == 200 || code == 400) << at.to_string() << " = " << value.dump();
      }
    }
  }
}

TEST_F(Hostile, PatchesOfStrangePodsApply) {
  const Json strange[] = {
      Json::parse(R"({"spec":{"containers":[null,1,{"name":"main"},{"name":"main"},{}]}})"),
      Json::parse(R"({"spec":{"containers":[{"name":"main","env":[null,{"name":"GOFLAGS"}]}]}})"),
      Json::parse(R"({"spec":{"containers":[{"name":"main","env":{},"volumeMounts":"x"}]}})"),
      Json::parse(
          R"({"spec":{"volumes":[null,{"name":"gobuildenv-files"}],"containers":[{"name":"m"}]}})"),
      Json::parse(R"({"spec":{"volumes":[{"name":"gobuildenv-files"},{"name":"gobuildenv-files"}],
                              "containers":[{"name":"m"}]}})"),
      Json::parse(R"({"spec":{"containers":[{"name":"a/b~c\"\\\u0000é","image":"x"}]}})"),
      Json::parse(R"({"spec":{"containers":{}}})"),
      Json::parse(R"({"metadata":{"annotations":{"gobuildenv.dev/environment":"build",
        "gobuildenv.dev/revision":"old","gobuildenv.dev/containers":",,m,"}},
        "spec":{"containers":[{"name":"m","env":[{"name":"GOFLAGS","value":"x"},{"name":"GOFLAGS"}]}]}})"),
  };
  for (Json pod : strange) {
    pod["metadata"]["labels"] = {{"gobuildenv.dev/env", "build"}};
    const AdmissionResponse response = decide_pod(pod, lookup_);
    EXPECT_TRUE(response.allowed);
    EXPECT_NO_THROW(patched(pod, response)) << response.patch;
  }
}

TEST_F(Hostile, WhatIsNoReview) {
  const std::string deep = std::string(100000, '[');
  std::string nested = review_of(small_pod()).dump();
  nested.insert(nested.find("\"object\":") + 9, std::string(3000, '['));
  std::string not_utf8 = review_of(small_pod()).dump();
  not_utf8.replace(not_utf8.find("main"), 4, "\xff\xfe\xc0\x80");
  const std::string v1beta1 =
      R"({"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview"})";
  const std::string bodies[] = {
      "",
      " ",
      "null",
      "[]",
      "{}",
      "\"",
      deep,
      nested,
      not_utf8,
      v1beta1,
      R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"})",
      R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":""}})",
      R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":[]})",
      std::string(64, '\0')};
  for (const std::string& body : bodies) EXPECT_EQ(status(body), 400) << body.substr(0, 60);
}

TEST_F(Hostile, SevenMebibytes) {
  Json review = review_of(small_pod());
  review["request"]["object"]["metadata"]["annotations"]["big"] =
      std::string((std::size_t{7} << 20) - review.dump().size() - 50, 'x');
  const std::string largest = review.dump();
  ASSERT_LE(largest.size(), kMaxReviewBytes);
  EXPECT_EQ(status(largest), 200);
  EXPECT_EQ(status(std::string(kMaxReviewBytes + 1, ' ')), 413);
}

}  // namespace
}  // namespace gobuildenv::webhooks::testing
