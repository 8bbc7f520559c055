#include "goenv/version.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace gobuildenv::goenv {
namespace {

TEST(Version, Parses) {
  struct Case {
    const char* text;
    GoVersion want;
    bool range;
  };
  const Case cases[] = {
      {"1.22.3", {1, 22, 3}, false},
      {"1.22", {1, 22, -1}, true},
      {"1.21.0", {1, 21, 0}, false},
      {"1.20", {1, 20, 0}, false},  // itself a release
      {"1.18.10", {1, 18, 10}, false},
      {"1.21rc2", {1, 21, -1, GoVersion::Pre::Rc, 2}, false},
      {"1.20beta1", {1, 20, -1, GoVersion::Pre::Beta, 1}, false},
      {"2.0", {2, 0, -1}, true},
  };
  for (const auto& c : cases) {
    const auto v = parse_version(c.text);
    ASSERT_TRUE(v) << c.text;
    EXPECT_EQ(*v, c.want) << c.text;
    EXPECT_EQ(v->is_range(), c.range) << c.text;
    EXPECT_EQ(to_string(*v), c.text);
  }
}

TEST(Version, RefusesWithAReason) {
  struct Case {
    const char* text;
    const char* message;
  };
  const Case cases[] = {
      {"go1.22.3", "without \"go\": \"1.22.3\""},
      {"v1.22", "without \"v\": \"1.22\""},
      {"", "is not a Go version"},
      {"1", "is not a Go version"},
      {"1.", "is not a Go version"},
      {"1.22.", "is not a Go version"},
      {"1.022", "is not a Go version"},
      {"1.22.3.4", "is not a Go version"},
      {"1.22rc", "is not a Go version"},
      {"1.22.3rc1", "is not a Go version"},
      {" 1.22", "is not a Go version"},
      {"1.22\n", "is not a Go version"},
      {"1.99999", "is not a Go version"},
      {"1.-1", "is not a Go version"},
      {"latest", "is not a Go version"},
  };
  for (const auto& c : cases) {
    const auto v = parse_version(c.text);
    ASSERT_FALSE(v) << c.text;
    EXPECT_THAT(v.error(), testing::HasSubstr(c.message)) << c.text;
  }
}

TEST(Version, OrderIsThatOfGo) {
  // Ascending, as src/internal/gover orders them.
  const char* ordered[] = {"1.18beta1", "1.18rc1", "1.18",    "1.18.1",  "1.20rc3", "1.20",
                           "1.20.14",   "1.21",    "1.21rc2", "1.21rc3", "1.21.0",  "1.21.9",
                           "1.21.10",   "1.22",    "1.22.0",  "2.0"};
  for (std::size_t i = 0; i < std::size(ordered); ++i) {
    for (std::size_t j = 0; j < std::size(ordered); ++j) {
      EXPECT_EQ(*parse_version(ordered[i]) < *parse_version(ordered[j]), i < j)
          << ordered[i] << " " << ordered[j];
    }
  }
}

TEST(Version, ToolchainNames) {
  EXPECT_EQ(parse_toolchain_name("go1.22.3"), (GoVersion{1, 22, 3}));
  EXPECT_EQ(parse_toolchain_name("go1.22.3-custom"), (GoVersion{1, 22, 3}));
  EXPECT_EQ(parse_toolchain_name("go1.22.3 X:rangefunc"), (GoVersion{1, 22, 3}));
  EXPECT_EQ(parse_toolchain_name("go1.22.3+auto"), (GoVersion{1, 22, 3}));
  EXPECT_FALSE(parse_toolchain_name("default"));
  EXPECT_FALSE(parse_toolchain_name("1.22.3"));
  EXPECT_FALSE(parse_toolchain_name("gopher"));
}

TEST(Version, CandidatesComeNewestFirst) {
  const std::string_view listed[] = {"v0.0.1-go1.22.9.linux-amd64",
                                     "v0.0.1-go1.22.10.linux-amd64",
                                     "v0.0.1-go1.22rc1.linux-amd64",
                                     "v0.0.1-go1.22.11.linux-arm64",
                                     "v0.0.1-go1.21.13.linux-amd64",
                                     "v0.0.1-go1.22.12.darwin-amd64",
                                     "v0.0.1-go1.22.9.linux-amd64",
                                     "v0.0.1-go1.222.1.linux-amd64",
                                     "v0.0.1-go1.22.x.linux-amd64",
                                     "",
                                     "nonsense"};
  const auto found = patch_candidates(listed, *parse_version("1.22"), "linux", "amd64");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(to_string(found[0]), "1.22.10");
  EXPECT_EQ(to_string(found[1]), "1.22.9");
  const auto none = patch_candidates(listed, *parse_version("1.25"), "linux", "amd64");
  ASSERT_EQ(none.size(), 1U);
  EXPECT_EQ(to_string(none[0]), "1.25.0");
  EXPECT_EQ(toolchain_module_version(none[0], "linux", "arm64"), "v0.0.1-go1.25.0.linux-arm64");
}

GoVersion any_version() {
  GoVersion v;
  v.major = *rc::gen::inRange(1, 3);
  v.minor = *rc::gen::inRange(0, 40);
  switch (*rc::gen::element(0, 1, 2, 3)) {
    case 0:
      v.patch = *rc::gen::inRange(0, 30);
      break;
    case 1:
      v.pre = GoVersion::Pre::Rc;
      v.pre_number = *rc::gen::inRange(1, 9);
      break;
    case 2:
      v.pre = GoVersion::Pre::Beta;
      v.pre_number = *rc::gen::inRange(1, 9);
      break;
    default:
      v = *parse_version(std::to_string(v.major) + "." + std::to_string(v.minor));
  }
  return v;
}

TEST(VersionProperty, TextComesBackAndOrderIsTotal) {
  EXPECT_TRUE(rc::check([] {
    const auto a = any_version();
    const auto b = any_version();
    const auto c = any_version();
    RC_ASSERT(parse_version(to_string(a)).value() == a);
    RC_ASSERT((a < b) + (b < a) + (a == b) == 1);
    if (a < b && b < c) RC_ASSERT(a < c);
  }));
}

}  // namespace
}  // namespace gobuildenv::goenv
