#include "kube/list_page.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace gobuildenv::kube {
namespace {

std::vector<std::string> items_of(std::string_view body) {
  std::vector<std::string> items;
  EXPECT_TRUE(split_list(body, [&](std::string_view item) { items.emplace_back(item); }));
  return items;
}

TEST(ListPage, GivesItemsAsTheyAre) {
  const std::string body =
      R"( {"kind":"PodList", "items" : [ {"a":"}]\"\\"} , {"b":[1,{"c":[]}]},"text",12,null ],)"
      R"("metadata":{"continue":"tok\"en","remainingItemCount":7,"resourceVersion":"42"}} )";
  std::vector<std::string> items;
  const auto info = split_list(body, [&](std::string_view item) { items.emplace_back(item); });
  ASSERT_TRUE(info) << info.error();
  EXPECT_EQ(items, (std::vector<std::string>{R"({"a":"}]\"\\"})", R"({"b":[1,{"c":[]}]})",
                                             R"("text")", "12", "null"}));
  EXPECT_EQ(info->items, 5U);
  EXPECT_EQ(info->resource_version, "42");
  EXPECT_EQ(info->continue_token, "tok\"en");
}

TEST(ListPage, EmptyListsOfEveryForm) {
  for (const char* body :
       {R"({"items":[]})", R"({"items":null})", R"({})", R"({"metadata":{},"items":[ ]})"}) {
    EXPECT_TRUE(items_of(body).empty()) << body;
  }
}

TEST(ListPage, EveryTruncationIsAnError) {
  const std::string body =
      R"({"metadata":{"resourceVersion":"42"},"items":[{"a":"\\\""},{"b":[1,2]},3]})";
  const auto ignore = [](std::string_view) {};
  ASSERT_TRUE(split_list(body, ignore));
  for (std::size_t size = 0; size < body.size(); ++size) {
    EXPECT_FALSE(split_list(body.substr(0, size), ignore)) << size;
  }
}

TEST(ListPage, RefusesWhatIsNoList) {
  const auto ignore = [](std::string_view) {};
  for (const char* body :
       {"[]", "null", "<html>", R"({"items":[1,]})", R"({"items":[,1]})", R"({"items" []})",
        R"({"metadata":{"resourceVersion":42}})", R"({"metadata":[]})", R"({} {})",
        R"({"a":1 "b":2})", R"({"items":[{]})"}) {
    EXPECT_FALSE(split_list(body, ignore)) << body;
  }
}

}  // namespace
}  // namespace gobuildenv::kube
