#include "kube/status_error.hpp"

#include <gtest/gtest.h>

#include "kube/retry_policy.hpp"

namespace gobuildenv::kube {
namespace {

using Kind = Error::Kind;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct Case {
  const char* name;
  int status;
  std::string body;
  Kind kind;
  std::string reason;
};

class Classifies : public ::testing::TestWithParam<Case> {};

TEST_P(Classifies, TheAnswer) {
  const Case& given = GetParam();
  const Error error = error_from_response({given.status, {}, given.body});
  EXPECT_EQ(static_cast<int>(error.kind), static_cast<int>(given.kind));
  EXPECT_EQ(error.code, given.status);
  EXPECT_EQ(error.reason, given.reason);
  EXPECT_FALSE(error.message.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Table, Classifies,
    ::testing::Values(
        Case{"BadRequest", 400, R"({"reason":"BadRequest","message":"m"})", Kind::Invalid,
             "BadRequest"},
        Case{"Unauthorized", 401, R"({"reason":"Unauthorized"})", Kind::Forbidden, "Unauthorized"},
        Case{"Forbidden", 403, R"({"reason":"Forbidden"})", Kind::Forbidden, "Forbidden"},
        Case{"Terminating", 403,
             R"({"reason":"Forbidden","details":{"causes":[{"reason":"NamespaceTerminating"}]}})",
             Kind::Forbidden, "NamespaceTerminating"},
        Case{"NotFound", 404, "404 page not found", Kind::NotFound, ""},
        Case{"Exists", 409, R"({"reason":"AlreadyExists"})", Kind::AlreadyExists, "AlreadyExists"},
        Case{"Conflict", 409, R"({"reason":"Conflict"})", Kind::Conflict, "Conflict"},
        Case{"Expired", 410, R"({"reason":"Expired"})", Kind::Gone, "Expired"},
        Case{"TooLargeVersion", 504,
             R"({"reason":"Timeout","details":{"causes":[{"reason":"ResourceVersionTooLarge"}]}})",
             Kind::Gone, "ResourceVersionTooLarge"},
        Case{"TooLargeVersionOld", 504,
             R"({"reason":"Timeout","message":"Too large resource version: 9, current: 1"})",
             Kind::Gone, "Timeout"},
        Case{"Invalid", 422, R"({"reason":"Invalid"})", Kind::Invalid, "Invalid"},
        Case{"MediaType", 415, "{}", Kind::Invalid, ""},
        Case{"Redirect", 302, "", Kind::Invalid, ""},
        Case{"TooMany", 429, R"({"reason":"TooManyRequests"})", Kind::Retry, "TooManyRequests"},
        Case{"Internal", 500, R"({"reason":"InternalError"})", Kind::Retry, "InternalError"},
        Case{
            "UnknownFieldInApply", 500,
            R"({"message":"failed to create typed patch object (a/b; /v1, Kind=ConfigMap): .spek: field not declared in schema"})",
            Kind::Invalid, ""},
        Case{"Html", 502, "<html>bad gateway</html>", Kind::Retry, ""},
        Case{"Unavailable", 503, "", Kind::Retry, ""},
        Case{"WrongTypes", 500, R"({"reason":7,"message":[],"details":{"causes":{}}})", Kind::Retry,
             ""}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(StatusError, TakesTheServersWait) {
  EXPECT_EQ(error_from_response({429, {{"retry-after", "3"}}, ""}).retry_after, seconds(3));
  EXPECT_EQ(error_from_response({503, {}, R"({"details":{"retryAfterSeconds":7}})"}).retry_after,
            seconds(7));
  EXPECT_EQ(error_from_response({503, {{"Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT"}}, ""})
                .retry_after,
            std::nullopt);
  EXPECT_EQ(parse_retry_after("99999999"), seconds(3600));
  EXPECT_EQ(parse_retry_after("-1"), std::nullopt);
  EXPECT_EQ(parse_retry_after(""), std::nullopt);
}

TEST(StatusError, ReadsErrorsInsideStreams) {
  const Error gone =
      error_from_status(R"({"kind":"Status","code":410,"reason":"Expired","message":"too old"})");
  EXPECT_EQ(gone.kind, Kind::Gone);
  EXPECT_EQ(gone.code, 410);
  EXPECT_EQ(error_from_status(R"({"code":500})").kind, Kind::Retry);
  EXPECT_EQ(error_from_status("not json").kind, Kind::Retry);
}

TEST(StatusError, CutsEndlessMessages) {
  const std::string body = R"({"message":")" + std::string(100000, 'x') + "\"}";
  EXPECT_LT(error_from_response({500, {}, body}).message.size(), 2000U);
  // Between two characters: what is made of the message has to be UTF-8 as well.
  const std::string letters = R"({"message":")" + std::string(1023, 'x') + "ää\"}";
  EXPECT_EQ(error_from_response({500, {}, letters}).message, std::string(1023, 'x') + "…");
}

Error error_of(int code, std::optional<seconds> wait) {
  Error error;
  error.code = code;
  error.kind = Kind::Retry;
  error.retry_after = wait;
  return error;
}

struct RetryCase {
  const char* name;
  int tries;
  Method method;
  Error error;
  std::optional<milliseconds> wait;
};

class Retries : public ::testing::TestWithParam<RetryCase> {};

TEST_P(Retries, OrNot) {
  const RetryCase& given = GetParam();
  EXPECT_EQ(retry_after_failure({given.tries, given.method, &given.error, 0}), given.wait);
}

Error conflict() {
  Error error = error_of(409, seconds(1));
  error.kind = Kind::Conflict;
  return error;
}

INSTANTIATE_TEST_SUITE_P(
    Table, Retries,
    ::testing::Values(
        RetryCase{"Asked", 1, Method::Patch, error_of(429, seconds(2)), milliseconds(2000)},
        RetryCase{"AskedForNothing", 1, Method::Post, error_of(503, seconds(0)), milliseconds(50)},
        RetryCase{"AskedOften", 9, Method::Post, error_of(503, seconds(1)), milliseconds(2000)},
        RetryCase{"TenTriesAreEnough", 10, Method::Get, error_of(503, seconds(1)), std::nullopt},
        RetryCase{"NotAsked", 1, Method::Get, error_of(500, std::nullopt), std::nullopt},
        RetryCase{"NoAnswerToGet", 1, Method::Get, error_of(0, std::nullopt), milliseconds(50)},
        RetryCase{"NoAnswerAgain", 2, Method::Get, error_of(0, std::nullopt), milliseconds(100)},
        RetryCase{"NoAnswerAtAll", 3, Method::Get, error_of(0, std::nullopt), std::nullopt},
        RetryCase{"NoAnswerToWrite", 1, Method::Patch, error_of(0, std::nullopt), std::nullopt},
        RetryCase{"Final", 1, Method::Get, conflict(), std::nullopt}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(RetryPolicy, JitterIsATenthAtMost) {
  const Error error = error_of(429, seconds(10));
  EXPECT_EQ(retry_after_failure({1, Method::Get, &error, 0.5}), milliseconds(10500));
}

}  // namespace
}  // namespace gobuildenv::kube
