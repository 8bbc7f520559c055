// Against the real module proxy and checksum database that `go env GOPROXY` and Go's source name.
// Skipped without a go command; "live" in ctest.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include "agent/toolchains/fetching_provider.hpp"
#include "agent/toolchains/h1.hpp"
#include "goenv/proxy_list.hpp"
#include "tests/agent/temp_folder.hpp"
#include "tests/goenv/real_go.hpp"

namespace gobuildenv::agent {
namespace {

namespace fs = std::filesystem;
using goenv::testing_go::find_go;
using goenv::testing_go::run_go;

const ToolchainId kId{{1, 22, 3}, "linux", "amd64"};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string go_env(const std::string& go, const std::string& name) {
  if (const std::string own = environment(name.c_str()); !own.empty()) return own;
  std::string out = run_go(go, {"env", name}, {{"HOME", environment("HOME")}}).output;
  while (out.ends_with('\n')) out.pop_back();
  return out;
}

/// Path → mode and sum of every file and folder.
std::map<std::string, std::string> tree_of(const fs::path& root) {
  std::map<std::string, std::string> out;
  Sha256Stream sha;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    struct stat found {};
    ::lstat(entry.path().c_str(), &found);
    std::string sum;
    if (entry.is_regular_file()) {
      const std::string content = testing::read_file(entry.path().string());
      sha.add(content.data(), content.size());
      const Sha256 hash = sha.finish();
      sum.assign(hash.begin(), hash.end());
    }
    out[fs::relative(entry.path(), root).string()] = fmt::format("{:o} ", found.st_mode) + sum;
  }
  return out;
}

TEST(LiveFetch, TheStoresToolchainIsTheGoCommandsOwnAndRuns) {
  const auto go = find_go();
  if (!go) GTEST_SKIP() << "no go command on PATH";
  const auto database = sumdb::parse_database(go_env(*go, "GOSUMDB"));
  if (!database) GTEST_SKIP() << database.error();
  const auto proxies = goenv::parse_proxy_list(go_env(*go, "GOPROXY"));
  ASSERT_TRUE(proxies) << proxies.error();

  const testing::TempFolder folder;
  auto store = ToolchainStore::open(folder.path("root"));
  ASSERT_TRUE(store) << store.error().message;
  kube::RealClock clock;
  ProviderOptions options;
  options.fetch.proxies = *proxies;
  options.fetch.database = *database;
  options.fetch.web.environment = environment;
  const auto provider = make_toolchain_provider(*store, options, clock, kube::make_random());
  const auto state = provider->wait({kId, {}}, clock.now() + std::chrono::minutes(3));
  ASSERT_EQ(state.kind, ToolchainState::Kind::Ready) << state.reason << ": " << state.message;
  EXPECT_TRUE(fs::exists(folder.path("root/sumdb")));

  const auto version = run_go(state.goroot + "/bin/go", {"version"}, {});
  EXPECT_EQ(version.output, "go version go1.22.3 linux/amd64\n");

  // What the go command makes of the same release: it runs it, so that modes are final too.
  const std::string cache = folder.path("modcache");
  const auto theirs = run_go(*go, {"version"},
                             {{"HOME", environment("HOME")},
                              {"GOMODCACHE", cache},
                              {"GOTOOLCHAIN", "go1.22.3"},
                              {"GOPROXY", go_env(*go, "GOPROXY")}});
  ASSERT_EQ(theirs.status, 0) << theirs.output;
  const auto ours = tree_of(state.goroot);
  const auto wanted = tree_of(cache + "/golang.org/toolchain@" + kId.module_version());
  EXPECT_GT(ours.size(), 5000U);
  EXPECT_EQ(ours.size(), wanted.size());
  for (const auto& [path, what] : wanted) {
    const auto found = ours.find(path);
    ASSERT_TRUE(found != ours.end()) << path;
    ASSERT_EQ(found->second.substr(0, 7), what.substr(0, 7)) << path;
    ASSERT_TRUE(found->second == what) << path << " has another content";
  }
}

TEST(LiveFetch, AReleaseThatDoesNotExistIsToldSo) {
  const auto go = find_go();
  if (!go) GTEST_SKIP() << "no go command on PATH";
  const auto database = sumdb::parse_database(go_env(*go, "GOSUMDB"));
  if (!database) GTEST_SKIP() << database.error();
  const testing::TempFolder folder;
  auto store = ToolchainStore::open(folder.path("root"));
  kube::RealClock clock;
  ProviderOptions options;
  options.fetch.proxies = *goenv::parse_proxy_list(go_env(*go, "GOPROXY"));
  options.fetch.database = *database;
  options.fetch.web.environment = environment;
  const auto provider = make_toolchain_provider(*store, options, clock, kube::make_random());
  const auto state =
      provider->wait({{{1, 22, 999}, "linux", "amd64"}, {}}, clock.now() + std::chrono::minutes(1));
  EXPECT_EQ(state.kind, ToolchainState::Kind::Failed);
  EXPECT_EQ(state.reason, "NotFound") << state.message;
}

}  // namespace
}  // namespace gobuildenv::agent
