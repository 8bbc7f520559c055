// fetch_toolchain ROOT PROXIES DATABASE VERSION: one fetch as the agent makes it; prints the
// GOROOT.
#include <fmt/format.h>

#include <cstdio>
#include <ctime>
#include <string>

#include "agent/toolchains/fetch.hpp"
#include "goenv/proxy_list.hpp"

int main(int count, char** arguments) {
  using namespace gobuildenv;
  using namespace gobuildenv::agent;
  const auto fail = [](const std::string& message) {
    fmt::print(stderr, "{}\n", message);
    return 1;
  };
  if (count != 5) return fail("usage: fetch_toolchain ROOT PROXIES DATABASE VERSION");
  const auto store = ToolchainStore::open(arguments[1]);
  if (!store) return fail(store.error().message);
  FetchOptions options;
  const auto proxies = goenv::parse_proxy_list(arguments[2]);
  if (!proxies) return fail(proxies.error());
  options.proxies = *proxies;
  const auto database = sumdb::parse_database(arguments[3]);
  if (!database) return fail(database.error());
  options.database = *database;
  const auto version = goenv::parse_version(arguments[4]);
  if (!version) return fail(version.error());
  const auto heads = open_head_store(store->root(), database->key);
  if (!heads) return fail(heads.error().message);
  FetchStop stop;
  const auto stored = fetch_toolchain(
      {{*version, "linux", "amd64"}, {}}, *store, heads->get(), options, stop,
      [](std::uint64_t, std::uint64_t) {}, std::time(nullptr));
  if (!stored) return fail(stored.error().reason + ": " + stored.error().message);
  fmt::print("{}\n", stored->goroot());
  return 0;
}
