#include "goenv/goflags.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace gobuildenv::goenv {
namespace {

using Words = std::vector<std::string>;

TEST(Quoted, SplitsAsGoDoes) {
  struct Case {
    const char* text;
    Words want;
  };
  const Case cases[] = {
      {"", {}},
      {"  \t\n", {}},
      {"-trimpath", {"-trimpath"}},
      {"-a  -b\t-c", {"-a", "-b", "-c"}},
      {"'-ldflags=-s -w' -v", {"-ldflags=-s -w", "-v"}},
      {"\"-ldflags=-X 'm.v=1'\"", {"-ldflags=-X 'm.v=1'"}},
      // Quotes inside a word do not count.
      {"-ldflags='-s -w'", {"-ldflags='-s", "-w'"}},
      // Nothing need stand between a closing quote and the next word.
      {"'a''b'c", {"a", "b", "c"}},
      {"''", {""}},
  };
  for (const auto& c : cases) {
    const auto got = split_quoted(c.text);
    ASSERT_TRUE(got) << c.text;
    EXPECT_EQ(*got, c.want) << c.text;
  }
  EXPECT_FALSE(split_quoted("'-s"));
  EXPECT_FALSE(split_quoted("-a \""));
}

TEST(Quoted, JoinsWhatCanBeSplit) {
  EXPECT_EQ(join_quoted(Words{"-trimpath", "-ldflags=-s -w"}), "-trimpath '-ldflags=-s -w'");
  EXPECT_EQ(join_quoted(Words{"-X=it's"}), "\"-X=it's\"");
  EXPECT_EQ(join_quoted(Words{}), "");
  for (const Words& bad : {Words{""}, Words{"'\""}, Words{"a\nb"}, Words{std::string("a\0b", 3)},
                           Words{"-ok", "a\tb"}}) {
    EXPECT_FALSE(join_quoted(bad));
  }
}

TEST(QuotedProperty, SplitGivesBackWhatJoinTook) {
  EXPECT_TRUE(rc::check([] {
    const auto words = *rc::gen::container<Words>(
        rc::gen::container<std::string>(rc::gen::inRange<char>(' ', '~')));
    const auto text = join_quoted(words);
    if (!text) return;
    const auto back = split_quoted(*text);
    RC_ASSERT(back.has_value());
    RC_ASSERT(*back == words);
  }));
}

TEST(QuotedProperty, WhatSplitGivesCanBeJoined) {
  EXPECT_TRUE(rc::check([] {
    const auto text =
        *rc::gen::container<std::string>(rc::gen::element(' ', '\t', '-', 'a', '=', '\'', '"'));
    const auto words = split_quoted(text);
    if (!words) return;
    const auto joined = join_quoted(*words);
    if (!joined) return;  // both kinds of quotes in one word, a tab in quotes, or an empty word
    RC_ASSERT(split_quoted(*joined).value() == *words);
  }));
}

TEST(Flags, Checked) {
  struct Case {
    const char* flag;
    const char* version;
    const char* message;  ///< null: fine
  };
  const Case cases[] = {
      {"-trimpath", "1.18", nullptr},
      {"--trimpath=false", "1.18", nullptr},
      {"-ldflags=-s -w", "1.18", nullptr},
      {"-ldflags=-X 'a.b=c d'", "1.18", nullptr},
      {"-mod=vendor", "1.18", nullptr},
      {"-buildvcs=auto", "1.18", nullptr},
      {"-buildvcs", "1.18", nullptr},
      {"-tags=netgo,osusergo", "1.18", nullptr},
      {"-p=4", "1.18", nullptr},
      {"-ldflags=", "1.22", nullptr},
      {"-ldflags= -s -w", "1.22", nullptr},
      {"-ldflags=-X 'main.v=a b'", "1.22", nullptr},
      {"-gcflags=all=-N -l", "1.22", nullptr},
      {"-gcflags=./...=", "1.22", nullptr},
      {"-modfile=go.tools.mod", "1.22", nullptr},
      {"-timeout=0", "1.22", nullptr},
      {"-timeout=1h30m", "1.22", nullptr},
      {"-count=1", "1.22", nullptr},
      {"-count=+1", "1.22", nullptr},
      {"-count=0x2", "1.22", nullptr},
      {"-ldflags=\"-s -w\"", "1.22", "may not begin with a quote"},
      {"-asmflags='x'", "1.22", "may not begin with a quote"},
      {"-ldflags=-X 'main.v=a", "1.22", "the ' is not closed"},
      {"-gcflags=all", "1.22", "or PATTERN=FLAGS"},
      {"-gcflags==-N", "1.22", "or PATTERN=FLAGS"},
      {"-modfile=x.txt", "1.22", "ends in .mod"},
      {"-timeout=10", "1.22", "needs a unit"},
      {"-count=x", "1.22", "must be a number"},
      {"-pgo=off", "1.20", nullptr},
      {"-race", "1.22.3", nullptr},
      {"trimpath", "1.22", "is not a flag"},
      {"", "1.22", "is not a flag"},
      {"-", "1.22", "is not a flag"},
      {"--", "1.22", "is not a flag"},
      {"---x", "1.22", "is not a flag"},
      {"-=x", "1.22", "is not a flag"},
      {"-ldflags -s", "1.22", "more than one word: write \"-ldflags=…\""},
      {"-toolexec=/x", "1.22", "-toolexec runs another program"},
      {"--toolexec=/x", "1.22", "-toolexec runs another program"},
      {"-exec=/x", "1.22", "-exec runs another program"},
      {"-vettool=/x", "1.22", "-vettool runs another program"},
      {"-overlay=/x", "1.22", "replaces source files"},
      {"-n", "1.22", "nothing without a word"},
      {"-c", "1.22", "nothing without a word"},
      {"-o=x", "1.22", "one output file"},
      {"-C=/x", "1.22", "first word"},
      {"-s", "1.22", "-ldflags=-s -w"},
      {"-i", "1.22", "has gone from go"},
      {"-insecure", "1.22", "variables.GOINSECURE"},
      {"-trimpth", "1.22", "-trimpth is not a flag"},
      {"-modcache", "1.22", "-modcache is not a flag of go build or go test"},
      {"-mod", "1.22", "-mod needs a value"},
      {"-mod=vendored", "1.22", "-mod must be one of readonly vendor mod"},
      {"-buildmode=dynamic", "1.22", "-buildmode must be one of"},
      {"-p=0", "1.22", "-p must be a number"},
      {"-p=many", "1.22", "-p must be a number"},
      {"-trimpath=maybe", "1.22", "-trimpath is a switch"},
      {"-trimpath=", "1.22", "-trimpath is a switch"},
      {"-pgo=off", "1.19.5", "new in Go 1.20; Go 1.19.5 would refuse"},
      {"-fullpath", "1.20", "new in Go 1.21"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.flag);
    const auto problem = check_flag(c.flag, *parse_version(c.version));
    EXPECT_EQ(problem.has_value(), c.message != nullptr) << problem.value_or("");
    if (problem && c.message != nullptr) {
      EXPECT_THAT(*problem, testing::HasSubstr(c.message));
    }
  }
  EXPECT_FALSE(check_flag("-fullpath", std::nullopt)) << "without a version every flag may be new";
}

TEST(Flags, LastOneCounts) {
  const Words flags{"-race", "-mod=mod", "--race=F", "-mod=vendor"};
  EXPECT_FALSE(flag_is_on(flags, "race"));
  EXPECT_TRUE(flag_is_on(Words{"-race=false", "-race"}, "race"));
  EXPECT_TRUE(flag_is_on(Words{"-race=1"}, "race"));
  EXPECT_FALSE(flag_is_on(flags, "msan"));
  EXPECT_EQ(flag_value(flags, "mod"), "vendor");
  EXPECT_EQ(flag_value(flags, "p"), "");
}

}  // namespace
}  // namespace gobuildenv::goenv
