#include "goenv/precedence.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace gobuildenv::goenv {
namespace {

TEST(GoEnvFile, LinesAsGoReadsThem) {
  const auto settings = parse_go_env(
      "GOPROXY=https://a.example\n"
      "# GOSUMDB=off\n"
      " GOFLAGS=-v\n"
      "gopath=/x\n"
      "GOPRIVATE=a=b\n"
      "GONOPROXY\n"
      "GOVCS='*:git'\n"
      "GOINSECURE=\n"
      "\n=x\n"
      "GOPROXY=direct");
  EXPECT_EQ(
      settings,
      (GoSettings{
          {"GOPROXY", "direct"}, {"GOPRIVATE", "a=b"}, {"GOVCS", "'*:git'"}, {"GOINSECURE", ""}}));
  EXPECT_EQ(parse_goroot_go_env("GOPROXY=a\nGOPROXY=b\n").at("GOPROXY"), "a");
}

TEST(GoEnvFile, WritesWhatItCanRead) {
  const auto text = format_go_env({{"GOFLAGS", "'-ldflags=-s -w'"}, {"CGO_ENABLED", "0"}});
  EXPECT_EQ(text, "GOFLAGS='-ldflags=-s -w'\nCGO_ENABLED=0\n");
  for (const GoSetting& bad :
       {GoSetting{"GOFLAGS", "a\nb"}, GoSetting{"GOFLAGS", "a\r"},
        GoSetting{"GOFLAGS", std::string("a\0", 2)}, GoSetting{"", "x"}, GoSetting{"A=B", "x"},
        GoSetting{"gopath", "x"}, GoSetting{"GO PATH", "x"}}) {
    EXPECT_FALSE(format_go_env({bad})) << bad.name;
  }
}

TEST(GoEnvFileProperty, ReadGivesBackWhatWasWritten) {
  EXPECT_TRUE(rc::check([] {
    const auto values =
        *rc::gen::container<std::vector<std::string>>(rc::gen::arbitrary<std::string>());
    std::vector<GoSetting> settings;
    GoSettings want;
    for (const auto& value : values) {
      const auto name = "GO" + std::to_string(settings.size());
      settings.push_back({name, value});
      want[name] = value;
    }
    const auto text = format_go_env(settings);
    if (text) RC_ASSERT(parse_go_env(*text) == want);
  }));
}

struct Case {
  const char* title;
  SettingLayers layers;
  const char* name;
  const char* value;
  SettingSource source;
};

TEST(Precedence, Table) {
  using S = SettingSource;
  const Case cases[] = {
      {"os beats all",
       {{{"K", "os"}}, {{"K", "file"}}, {{"K", "root"}}, {{"K", "def"}}},
       "K",
       "os",
       S::OsEnvironment},
      {"empty os is unset", {{{"K", ""}}, {{"K", "file"}}, {}, {}}, "K", "file", S::GoEnvFile},
      {"file beats go.env", {{}, {{"K", "file"}}, {{"K", "root"}}, {}}, "K", "file", S::GoEnvFile},
      {"go.env beats default",
       {{}, {}, {{"K", "root"}}, {{"K", "def"}}},
       "K",
       "root",
       S::GorootGoEnv},
      {"empty file line hides go.env",
       {{}, {{"K", ""}}, {{"K", "root"}}, {{"K", "def"}}},
       "K",
       "def",
       S::Default},
      {"empty go.env line", {{}, {}, {{"K", ""}}, {{"K", "def"}}}, "K", "def", S::Default},
      {"nothing", {}, "K", "", S::Default},
      {"GODEBUG only from the os", {{}, {{"GODEBUG", "a=1"}}, {}, {}}, "GODEBUG", "", S::Default},
      {"GOENV only from the os", {{}, {{"GOENV", "/f"}}, {}, {}}, "GOENV", "", S::Default},
  };
  for (const auto& c : cases) {
    const auto got = effective(c.layers, c.name);
    EXPECT_EQ(got.value, c.value) << c.title;
    EXPECT_EQ(got.source, c.source) << c.title;
  }
}

TEST(Precedence, SourcesHaveNames) {
  EXPECT_EQ(source_name(SettingSource::OsEnvironment), "os");
  EXPECT_EQ(source_name(SettingSource::GoEnvFile), "GOENV file");
  EXPECT_EQ(source_name(SettingSource::GorootGoEnv), "$GOROOT/go.env");
  EXPECT_EQ(source_name(SettingSource::Default), "default");
}

}  // namespace
}  // namespace gobuildenv::goenv
