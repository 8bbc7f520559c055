#include "goenv/proxy_list.hpp"

#include <gtest/gtest.h>

namespace gobuildenv::goenv {
namespace {

TEST(ProxyList, ReadsGoproxyForm) {
  const auto list = parse_proxy_list("https://a.example| http://b.example , file:///srv,direct");
  ASSERT_TRUE(list) << list.error();
  ASSERT_EQ(list->size(), 4U);
  EXPECT_EQ((*list)[0].url, "https://a.example");
  EXPECT_EQ((*list)[0].fallback, ProxyFallback::AnyError);
  EXPECT_EQ((*list)[1].url, "http://b.example");
  EXPECT_EQ((*list)[1].fallback, ProxyFallback::NotFound);
  EXPECT_EQ((*list)[2].url, "file:///srv");
  EXPECT_EQ((*list)[3].url, "direct");
}

TEST(ProxyList, EmptyTextIsAnEmptyList) {
  EXPECT_TRUE(parse_proxy_list("")->empty());
  EXPECT_TRUE(parse_proxy_list("  ")->empty());
}

TEST(ProxyList, RefusesWhatGoWouldTripOver) {
  struct Case {
    const char* text;
    const char* says;
  };
  for (const Case& c :
       {Case{"a.example", "\"a.example\""}, Case{"https://a.example,,direct", "\"\""},
        Case{"https://", "\"https://\""}, Case{"Direct", "\"Direct\""}}) {
    const auto list = parse_proxy_list(c.text);
    ASSERT_FALSE(list) << c.text;
    EXPECT_NE(list.error().find(c.says), std::string::npos) << list.error();
  }
}

TEST(ProxyList, NeverRepeatsCredentials) {
  const auto list = parse_proxy_list("https://user:hunter2@a.example");
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace gobuildenv::goenv
