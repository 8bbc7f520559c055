#include "kube/url.hpp"

#include <gtest/gtest.h>

#include "kube/rfc3339.hpp"

namespace gobuildenv::kube {
namespace {

TEST(Url, ParsesWhatServersAreCalled) {
  const auto plain = parse_url("https://API.Example");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->authority(), "api.example:443");
  EXPECT_EQ(plain->path, "");
  const auto v6 = parse_url("http://[fd00::1]:8080/a/b//");
  ASSERT_TRUE(v6);
  EXPECT_FALSE(v6->tls);
  EXPECT_EQ(v6->host, "fd00::1");
  EXPECT_EQ(v6->authority(), "[fd00::1]:8080");
  EXPECT_EQ(v6->path, "/a/b");
}

TEST(Url, RefusesTheRest) {
  for (const char* bad :
       {"", "api.example", "ftp://a", "https://", "https://a:0", "https://a:65536", "https://a:x",
        "https://a:", "https://u:p@a", "https://a?q", "https://a/#f", "https://[::1",
        "https://[::1]x", "https://a b", "https://a/ b", "https://a\r\nb", "https://a:1:2"}) {
    EXPECT_FALSE(parse_url(bad)) << bad;
  }
}

TEST(Url, EncodesForOneSegment) {
  EXPECT_EQ(percent_encode("a-b.c_d~1"), "a-b.c_d~1");
  EXPECT_EQ(percent_encode("a=b,c in (d)/ü"), "a%3Db%2Cc%20in%20%28d%29%2F%C3%BC");
}

TEST(Rfc3339, ParsesOffsetsAndFractions) {
  using namespace std::chrono;
  const system_clock::time_point expected =
      sys_days{2026y / 1 / 2} + hours{3} + minutes{4} + seconds{5};
  EXPECT_EQ(parse_rfc3339("2026-01-02T03:04:05Z"), expected);
  EXPECT_EQ(parse_rfc3339("2026-01-02T05:04:05+02:00"), expected);
  EXPECT_EQ(parse_rfc3339("2026-01-01T23:34:05.25-03:30"), expected + milliseconds{250});
  for (const char* bad : {"", "2026-01-02", "2026-13-02T03:04:05Z", "2026-02-30T03:04:05Z",
                          "2026-01-02T03:04:05", "2026-01-02T03:04:05.Z", "2026-01-02T24:00:00Z",
                          "2026-01-02T03:04:05Zx", "2026-01-02T03:04:05+2:00"}) {
    EXPECT_FALSE(parse_rfc3339(bad)) << bad;
  }
  EXPECT_EQ(parse_rfc3339("9999-12-31T23:59:59Z"),
            system_clock::time_point(sys_days{2200y / 1 / 1}));
  EXPECT_EQ(parse_rfc3339("0001-01-01T00:00:00Z"),
            system_clock::time_point(sys_days{1700y / 1 / 1}));
  EXPECT_EQ(format_micro_time(expected + microseconds{7}), "2026-01-02T03:04:05.000007Z");
}

}  // namespace
}  // namespace gobuildenv::kube
