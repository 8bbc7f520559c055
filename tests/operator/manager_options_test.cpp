#include "operator/manager_options.hpp"

#include <gtest/gtest.h>

#include "operator/bind_address.hpp"

namespace gobuildenv::cli {
namespace {

TEST(ParseBind, ReadsWhatPeopleWrite) {
  struct Case {
    const char* text;
    bool enabled;
    const char* host;
    std::uint16_t port;
  };
  for (const Case& c : {Case{":8080", true, "", 8080}, Case{"127.0.0.1:0", true, "127.0.0.1", 0},
                        Case{"[::1]:8081", true, "::1", 8081}, Case{"off", false, "", 0},
                        Case{"0", false, "", 0}}) {
    const auto bind = parse_bind(c.text);
    ASSERT_TRUE(bind) << c.text << ": " << bind.error();
    EXPECT_EQ(bind->enabled, c.enabled) << c.text;
    EXPECT_EQ(bind->host, c.host) << c.text;
    EXPECT_EQ(bind->port, c.port) << c.text;
  }
}

TEST(ParseBind, RefusesTheRestByName) {
  for (const char* text : {"8080", "localhost", ":", ":http", ":70000", ":-1", "1.2.3.4:80 "}) {
    const auto bind = parse_bind(text);
    ASSERT_FALSE(bind) << text;
    EXPECT_NE(bind.error().find(text), std::string::npos) << bind.error();
  }
}

TEST(ExcludedNamespaces, AlwaysHasKubeSystemAndTheOwnOne) {
  ManagerFlags flags;
  using Names = std::vector<std::string>;
  EXPECT_EQ(excluded_namespaces(flags, "gbe"), (Names{"kube-system", "gbe"}));
  flags.exclude_namespaces = {"infra", "gbe", "", "infra"};
  EXPECT_EQ(excluded_namespaces(flags, "gbe"), (Names{"kube-system", "gbe", "infra"}));
}

}  // namespace
}  // namespace gobuildenv::cli
