#include "operator/agent_flags.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/agent/temp_folder.hpp"

namespace gobuildenv::cli {
namespace {

using agent::testing::TempFolder;
using agent::testing::write_file;

std::vector<std::string> urls(const AgentFlags& flags, const std::string& root) {
  std::vector<std::string> out;
  const auto proxies = agent_proxies(flags, root);
  for (const goenv::Proxy& proxy : proxies.value()) out.push_back(proxy.url);
  return out;
}

TEST(AgentProxies, TheFlagWins) {
  const TempFolder root;
  write_file(root.path("toolchains/go1.22.3.linux-amd64/h1-a/goroot/go.env"),
             "GOPROXY=https://goproxy.example,direct\n");
  AgentFlags flags;
  flags.proxies = "https://one.example|https://two.example,off";
  EXPECT_EQ(urls(flags, root.path()),
            (std::vector<std::string>{"https://one.example", "https://two.example"}));
}

TEST(AgentProxies, ElseTheNewestToolchainsOwn) {
  const TempFolder root;
  AgentFlags flags;
  EXPECT_TRUE(urls(flags, root.path()).empty());
  write_file(root.path("toolchains/go1.9.3.linux-amd64/h1-a/goroot/go.env"),
             "GOPROXY=https://old.example\n");
  write_file(root.path("toolchains/go1.22.3.linux-amd64/h1-a/goroot/go.env"),
             "# comment\r\nGOSUMDB=x\r\nGOPROXY=https://goproxy.example,direct\r\n");
  write_file(root.path("toolchains/notes.txt"), "x");
  EXPECT_EQ(urls(flags, root.path()), std::vector<std::string>{"https://goproxy.example"});
}

TEST(AgentProxies, SaysWhatIsWrong) {
  AgentFlags flags;
  flags.proxies = "https://user:secret@goproxy.example";
  const auto proxies = agent_proxies(flags, "/nonexistent");
  ASSERT_FALSE(proxies);
  EXPECT_NE(proxies.error().find("--proxies"), std::string::npos);
  EXPECT_EQ(proxies.error().find("secret"), std::string::npos);
}

TEST(GoProxyOf, ReadsGoEnvFiles) {
  EXPECT_EQ(goproxy_of(""), "");
  EXPECT_EQ(goproxy_of("GOPROXY="), "");
  EXPECT_EQ(goproxy_of("#GOPROXY=a\nGOPROXY=b"), "b");
  EXPECT_EQ(goproxy_of("XGOPROXY=a\n"), "");
}

}  // namespace
}  // namespace gobuildenv::cli
