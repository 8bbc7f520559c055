#include <gtest/gtest.h>

#include <string>

#include "agent/caches/build_entry.hpp"
#include "agent/caches/module_name.hpp"

namespace gobuildenv::agent {
namespace {

TEST(ModuleNames, Unescape) {
  EXPECT_EQ(unescape_module_path("github.com/!burnt!sushi/toml"), "github.com/BurntSushi/toml");
  EXPECT_EQ(unescape_module_path("gopkg.in/yaml.v3"), "gopkg.in/yaml.v3");
  EXPECT_EQ(unescape_module_path("example.com/a-b_c~d/v2"), "example.com/a-b_c~d/v2");
  for (const char* bad :
       {"", "nodot/x", "cache/download", "example.com/../x", "example.com/./x", "example.com//x",
        "/example.com", "example.com/", "example.com/.git", "example.com/x.", "example.com/X",
        "example.com/!", "example.com/!A", "example.com/!!a", "example.com/a@v1", "example.com/a b",
        "example.com/\xc3\xa9", "golang.org/toolchain"}) {
    EXPECT_FALSE(unescape_module_path(bad)) << bad;
  }
}

TEST(ModuleNames, UnescapeVersions) {
  for (const char* good : {"v1.2.3", "v0.0.0-20240102030405-0123456789ab", "v2.0.0+incompatible",
                           "v1.0.0-rc.1", "v0.0.1-go1.22.3.linux-amd64"}) {
    EXPECT_EQ(unescape_version(good), good);
  }
  EXPECT_EQ(unescape_version("v1.0.0-!r!c1"), "v1.0.0-RC1");
  for (const char* bad : {"", "v1", "v1.2", "1.2.3", "v1.2.3.4", "v01.2.3", "v1.2.3-", "v1.2.3-..",
                          "v1.2.3+x", "master", "v1.2.3/x", "v1.2.3-a/../b", "list"}) {
    EXPECT_FALSE(unescape_version(bad)) << bad;
  }
}

TEST(BuildEntries, AreOneLine) {
  BuildEntry entry;
  entry.action.fill(0xab);
  entry.output.fill(0x01);
  entry.size = 12345;
  entry.time = 1'700'000'000'123'456'789;
  const std::string line = to_line(entry);
  ASSERT_EQ(line.size(), kBuildEntrySize);
  EXPECT_EQ(line.substr(0, 7), "v1 abab");
  EXPECT_EQ(line.substr(132), "                12345  1700000000123456789\n");
  const auto back = parse_build_entry(line);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->action, entry.action);
  EXPECT_EQ(back->output, entry.output);
  EXPECT_EQ(back->size, entry.size);
  EXPECT_EQ(back->time, entry.time);
}

TEST(BuildEntries, AreNothingElse) {
  BuildEntry entry;
  const std::string good = to_line(entry);
  ASSERT_TRUE(parse_build_entry(good));
  // Every byte matters, but those of numbers' digits.
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = '\x01';
    EXPECT_FALSE(parse_build_entry(bad)) << i;
  }
  EXPECT_FALSE(parse_build_entry(good + "\n"));
  EXPECT_FALSE(parse_build_entry(good.substr(1)));
  EXPECT_FALSE(parse_build_entry(""));
  const std::string name(64, 'a');
  EXPECT_TRUE(action_of_name(name + "-a"));
  for (const std::string& bad : {name + "-d", name, name + "a-a", "A" + name.substr(1) + "-a",
                                 std::string("../") + name.substr(3) + "-a", std::string("-a")}) {
    EXPECT_FALSE(action_of_name(bad)) << bad;
  }
}

}  // namespace
}  // namespace gobuildenv::agent
