#include "crds/scalars.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace gobuildenv::crds {
namespace {

using std::chrono::seconds;

TEST(Duration, FollowsGo) {
  struct Case {
    const char* text;
    std::optional<seconds> want;
  };
  const Case cases[] = {
      {"168h", seconds{604800}},
      {"1h30m", seconds{5400}},
      {"0.5h", seconds{1800}},
      {"1500ms", seconds{1}},
      {"0", seconds{0}},
      {".5m", seconds{30}},
      {"2562047h", seconds{9223369200}},
      {"", {}},
      {"h", {}},
      {"7d", {}},
      {"10", {}},
      {"-1h", {}},
      {"1h ", {}},
      {" 1h", {}},
      {"1.2.3h", {}},
      {"2562048h", {}},
      {"99999999999999999999999999h", {}},
  };
  for (const auto& c : cases) EXPECT_EQ(parse_duration(c.text), c.want) << c.text;
}

TEST(Quantity, FollowsKubernetes) {
  struct Case {
    const char* text;
    std::optional<std::int64_t> want;
  };
  const Case cases[] = {
      {"20Gi", std::int64_t{20} << 30},
      {"500M", 500'000'000},
      {"1024", 1024},
      {"1e9", 1'000'000'000},
      {"1.5Gi", 1610612736},
      {"100m", 1},
      {"0", 0},
      {"7Ei", std::int64_t{7} << 60},
      {"1E", 1'000'000'000'000'000'000},
      {"", {}},
      {"Gi", {}},
      {"20GB", {}},
      {"20 Gi", {}},
      {"-1", {}},
      {"8Ei", {}},
      {"1e999", {}},
      {"1e", {}},
      {"20gi", {}},
      {"0x10", {}},
  };
  for (const auto& c : cases) EXPECT_EQ(parse_quantity(c.text), c.want) << c.text;
}

TEST(Scalars, FormatsComeBack) {
  EXPECT_TRUE(rc::check([] {
    const seconds d{*rc::gen::inRange<std::int64_t>(0, 9'000'000'000)};
    RC_ASSERT(parse_duration(format_duration(d)) == d);
    const auto q = *rc::gen::inRange<std::int64_t>(0, std::numeric_limits<std::int64_t>::max());
    RC_ASSERT(parse_quantity(format_quantity(q)) == q);
  }));
}

}  // namespace
}  // namespace gobuildenv::crds
