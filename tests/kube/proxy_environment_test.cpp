#include "kube/proxy_environment.hpp"

#include <gtest/gtest.h>

#include <map>

namespace gobuildenv::kube {
namespace {

struct Case {
  const char* target;
  const char* no_proxy;
  bool proxied;
};

TEST(ProxyEnvironment, NoProxyByGosRules) {
  for (const Case& tried : {Case{"https://goproxy.example", "", true},
                            {"https://goproxy.example", "*", false},
                            {"https://goproxy.example", "other.example", true},
                            {"https://goproxy.example", "a.example, goproxy.example", false},
                            {"https://goproxy.example", "EXAMPLE", false},
                            {"https://goproxy.example", ".example", false},
                            {"https://goproxy.example", "*.example", false},
                            {"https://goproxy.example", ".goproxy.example", true},
                            {"https://notgoproxy.example", "goproxy.example", true},
                            {"https://goproxy.example", "goproxy.example:443", false},
                            {"https://goproxy.example", "goproxy.example:8443", true},
                            {"https://10.1.2.3", "10.0.0.0/8", false},
                            {"https://11.1.2.3", "10.0.0.0/8", true},
                            {"https://10.1.2.3", "10.0.0.0/x", true},
                            {"https://10.1.2.3", "10.1.2.3", false},
                            {"https://10.1.2.3:8443", "10.1.2.3:443", true},
                            {"https://[fd00::1]", "fd00::/16", false},
                            {"https://[fd00::1]", "[fd00::1]:443", false},
                            {"https://[fe00::1]", "fd00::/16", true},
                            {"https://localhost", "", false},
                            {"https://127.1.2.3", "", false},
                            {"https://[::1]", "", false}}) {
    const auto env = [&](const char* name) -> std::string {
      const std::string wanted(name);
      return wanted == "HTTPS_PROXY" ? "http://proxy.example:3128"
                                     : (wanted == "no_proxy" ? tried.no_proxy : "");
    };
    EXPECT_EQ(proxy_from_environment(*parse_url(tried.target), env),
              tried.proxied ? "http://proxy.example:3128" : "")
        << tried.target << " NO_PROXY=" << tried.no_proxy;
  }
}

TEST(ProxyEnvironment, ChoosesByScheme) {
  std::map<std::string, std::string> values{{"http_proxy", "plain.example:80"}};
  const auto env = [&](const char* name) { return values[name]; };
  EXPECT_EQ(proxy_from_environment(*parse_url("http://a.example"), env), "http://plain.example:80");
  EXPECT_EQ(proxy_from_environment(*parse_url("https://a.example"), env), "");
  values["HTTP_PROXY"] = "http://capitals.example";
  EXPECT_EQ(proxy_from_environment(*parse_url("http://a.example"), env), "http://capitals.example");
}

}  // namespace
}  // namespace gobuildenv::kube
