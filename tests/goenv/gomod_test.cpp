#include "goenv/gomod.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace gobuildenv::goenv {
namespace {

using testing::ElementsAre;

TEST(GoMod, ReadsWhatMatters) {
  const auto file = parse_go_mod(
      "// a comment\r\n"
      "module \"example.com/m\" // trailing\n"
      "\n"
      "go 1.22\n"
      "\ttoolchain go1.22.3//tight\n"
      "require example.com/a v1.0.0\n"
      "require (\n"
      "\texample.com/b v2.0.0 // indirect\n"
      "\t// go 9.9\n"
      "\t\"example.com/c\" v3.0.0\n"
      ")\n"
      "replace example.com/a => ./a\n"
      "go 1.30\n");
  EXPECT_EQ(file.module, "example.com/m");
  EXPECT_EQ(file.go, "1.22");
  EXPECT_EQ(file.toolchain, "go1.22.3");
  EXPECT_THAT(file.requirements,
              ElementsAre("example.com/a v1.0.0", "example.com/b v2.0.0", "example.com/c v3.0.0"));
}

TEST(GoMod, ReadsGoWork) {
  const auto file = parse_go_mod("go 1.21.0\nuse (\n\t./a\n\t`./b c`\n)\nuse ../d\n");
  EXPECT_EQ(file.go, "1.21.0");
  EXPECT_THAT(file.uses, ElementsAre("./a", "./b c", "../d"));
}

TEST(GoMod, PassesOverWhatItCannotRead) {
  for (const char* text : {"", "(", ")", "go", "go (", "module \"open", "require (\na\n", "\"\"",
                           "use", "//", "module", "use ()\ngo 1.20"}) {
    const auto file = parse_go_mod(text);
    EXPECT_TRUE(file.module.empty()) << text;
  }
  EXPECT_EQ(parse_go_mod("use ( )\ngo 1.20").go, "1.20");
}

TEST(GoMod, RequiredVersion) {
  struct Case {
    const char* text;
    const char* want;
  };
  const Case cases[] = {
      {"", "1.16"},
      {"go 1.20", "1.20"},
      {"go 1.25", "1.25.0"},  // the release go1.25 does not exist
      {"go 1.22.3", "1.22.3"},
      {"go 1.22\ntoolchain go1.23.1", "1.23.1"},
      {"go 1.24.0\ntoolchain go1.23.1", "1.24.0"},
      {"go 1.22\ntoolchain default", "1.22.0"},
      {"go 1.23rc1", "1.23rc1"},
      {"go latest", "1.16"},
  };
  for (const auto& c : cases) EXPECT_EQ(required_go(parse_go_mod(c.text)), c.want) << c.text;
}

TEST(GoModProperty, AnyTextGivesAnAnswer) {
  EXPECT_TRUE(rc::check([] {
    const auto text = *rc::gen::container<std::string>(
        rc::gen::element('g', 'o', ' ', '\n', '(', ')', '"', '`', '/', '1', '.'));
    (void)required_go(parse_go_mod(text));
  }));
}

}  // namespace
}  // namespace gobuildenv::goenv
