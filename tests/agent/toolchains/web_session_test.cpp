#include "agent/toolchains/web_session.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "agent/toolchains/netrc.hpp"
#include "kube/http_proxy.hpp"
#include "tests/agent/temp_folder.hpp"
#include "tests/kube/relay_proxy.hpp"
#include "tests/kube/scripted_server.hpp"

namespace gobuildenv::agent {
namespace {

using kube::testing::RecordedRequest;
using kube::testing::Reply;
using kube::testing::ScriptedServer;
using ::testing::HasSubstr;

std::string body_of(WebSession& web, WebAnswer& answer) {
  std::string out;
  std::string part(1000, '\0');
  while (answer.body) {
    const auto got = answer.body->read(part.data(), part.size(), web.read_deadline());
    if (!got) return "error: " + got.error().message;
    if (*got == 0) break;
    out.append(part, 0, *got);
  }
  return out;
}

Reply redirect_to(const std::string& location, int status = 302) {
  return Reply::json(status, "moved", {{"Location", location}});
}

TEST(WebSession, StreamsABodyAndKnowsItsLength) {
  const std::string content(300'000, 'z');
  ScriptedServer server([&](const RecordedRequest&) { return Reply::json(200, content); });
  const WebOptions options;
  WebSession web(options);
  auto answer = web.open(server.url() + "/a/b.zip");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->length, content.size());
  EXPECT_EQ(body_of(web, *answer), content);
  const auto seen = server.requests().at(0);
  EXPECT_EQ(seen.target, "/a/b.zip");
  EXPECT_EQ(seen.header("host"), "127.0.0.1:" + std::to_string(server.port()));
  EXPECT_EQ(seen.header("user-agent"), "gobuildenv-agent");
}

TEST(WebSession, FollowsRedirects) {
  ScriptedServer store([](const RecordedRequest&) { return Reply::json(200, "there"); });
  ScriptedServer server([&](const RecordedRequest& request) {
    if (request.target == "/one") return redirect_to("/two", 301);
    if (request.target == "/two") return redirect_to(store.url() + "/signed?by=me#part", 307);
    if (request.target == "/loop") return redirect_to("/loop");
    if (request.target == "/nowhere") return redirect_to("ftp://x.example");
    return Reply::json(404, "");
  });
  const WebOptions options;
  WebSession web(options);
  auto answer = web.open(server.url() + "/one");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(body_of(web, *answer), "there");
  EXPECT_EQ(store.requests().at(0).target, "/signed?by=me");
  const auto page = web.read(server.url() + "/one");
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(page->body, "there");
  EXPECT_THAT(web.open(server.url() + "/loop").error().message, HasSubstr("redirects"));
  EXPECT_THAT(web.open(server.url() + "/nowhere").error().message, HasSubstr("nowhere"));
  EXPECT_EQ(web.open(server.url() + "/absent")->status, 404);
}

TEST(WebSession, KeepsOneConnectionForSmallAnswersAndCapsThem) {
  ScriptedServer server([](const RecordedRequest& request) {
    return Reply::json(200, std::string(request.target == "/large" ? 5000 : 5, 'x'));
  });
  const WebOptions options;
  WebSession web(options);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(web.read(server.url() + "/a", 1000)->body, "xxxxx");
  EXPECT_EQ(server.connections(), 1U);
  EXPECT_FALSE(web.read(server.url() + "/large", 1000));
}

TEST(WebSession, GivesALoginOnlyToItsMachine) {
  ScriptedServer other([](const RecordedRequest&) { return Reply::json(200, "x"); });
  ScriptedServer server([&](const RecordedRequest&) {
    return redirect_to("http://localhost:" + std::to_string(other.port()) + "/x");
  });
  WebOptions options;
  options.netrc = "machine 127.0.0.1 login me password secret";
  WebSession web(options);
  const auto answer = web.open(server.url());
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(server.requests().at(0).header("authorization"), "Basic bWU6c2VjcmV0");
  EXPECT_EQ(other.requests().at(0).header("authorization"), "") << "another host";
}

TEST(WebSession, ReadsFileUrls) {
  const testing::TempFolder folder;
  testing::write_file(folder.path("m/@v/list"), "v1\n");
  const WebOptions options;
  WebSession web(options);
  const auto page = web.read("file://" + folder.path("m/@v/list"));
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(page->status, 200);
  EXPECT_EQ(page->body, "v1\n");
  EXPECT_EQ(web.open("file://" + folder.path("m/@v/list"))->length, 3U);
  EXPECT_EQ(web.read("file://" + folder.path("absent"))->status, 404);
  EXPECT_EQ(web.read("file://" + folder.path("m/@v/list/x"))->status, 404);
  EXPECT_FALSE(web.read("file://" + folder.path("m")));
  EXPECT_FALSE(web.read("file://" + folder.path("m/@v/list"), 2));
}

class TlsWebSession : public ::testing::Test {
 protected:
  const kube::testing::Issued authority = kube::testing::make_authority("private");
  ScriptedServer server{
      [](const RecordedRequest& request) {
        return request.target == "/down" ? redirect_to("http://goproxy.example/")
                                         : Reply::json(200, "safe");
      },
      ScriptedServer::Tls{kube::testing::issue(authority, "proxy", {"DNS:goproxy.example"}), ""}};
};

TEST_F(TlsWebSession, TunnelsThroughAnHttpProxyAndTrustsAPrivateAuthority) {
  const kube::testing::RelayProxy proxy(server.port());
  WebOptions options;
  options.ca = authority.certificate;
  options.system_trust = false;
  options.environment = [&](const char* name) {
    return std::string(name) == "HTTPS_PROXY"
               ? "http://me:p%40ss@127.0.0.1:" + std::to_string(proxy.port())
               : "";
  };
  WebSession web(options);
  const auto page = web.read("https://goproxy.example/x");
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(page->body, "safe");
  EXPECT_THAT(proxy.heads().at(0), HasSubstr("CONNECT goproxy.example:443 HTTP/1.1\r\n"));
  EXPECT_THAT(proxy.heads().at(0), HasSubstr("Proxy-Authorization: Basic bWU6cEBzcw==\r\n"));
  EXPECT_EQ(server.requests().at(0).header("host"), "goproxy.example");
  EXPECT_EQ(server.requests().at(0).header("proxy-authorization"), "");
  EXPECT_THAT(web.open("https://goproxy.example/down").error().message,
              HasSubstr("from https to http"));

  options.ca.clear();
  WebSession distrustful(options);
  const auto refused = distrustful.read("https://goproxy.example/x");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("not trusted"));
}

TEST_F(TlsWebSession, AProxyThatRefusesIsNamed) {
  const kube::testing::RelayProxy proxy(server.port(),
                                        "HTTP/1.1 407 Authentication Required\r\n\r\n");
  WebOptions options;
  options.environment = [&](const char* name) {
    return std::string(name) == "https_proxy" ? "127.0.0.1:" + std::to_string(proxy.port()) : "";
  };
  WebSession web(options);
  const auto page = web.read("https://goproxy.example/x");
  ASSERT_FALSE(page);
  EXPECT_THAT(page.error().message, HasSubstr("407 Authentication Required"));
  options.environment = [](const char*) { return std::string("socks5://127.0.0.1:1"); };
  WebSession socks(options);
  EXPECT_THAT(socks.read("https://goproxy.example/x").error().message, HasSubstr("http://"));
}

TEST(WebSession, AsksAnHttpProxyForPlainHttp) {
  ScriptedServer proxy([](const RecordedRequest&) { return Reply::json(200, "by proxy"); });
  WebOptions options;
  options.environment = [&](const char* name) {
    return std::string(name) == "HTTP_PROXY"
               ? "http://u:p@127.0.0.1:" + std::to_string(proxy.port())
               : "";
  };
  WebSession web(options);
  EXPECT_EQ(web.read("http://goproxy.example/a/list")->body, "by proxy");
  const auto seen = proxy.requests().at(0);
  EXPECT_EQ(seen.target, "http://goproxy.example/a/list");
  EXPECT_EQ(seen.header("host"), "goproxy.example");
  EXPECT_EQ(seen.header("proxy-authorization"), "Basic dTpw");
}

TEST(WebSession, ErrorsSayWhatAndNeverWithWhatPassword) {
  EXPECT_EQ(shown_url("https://me:pw@goproxy.example/x?token=1"), "https://goproxy.example/x");
  EXPECT_EQ(shown_url("https://goproxy.example/a@v1"), "https://goproxy.example/a@v1");
  EXPECT_EQ(shown_url("file:///x"), "file:///x");
  const WebOptions options;
  WebSession web(options);
  for (const std::string& url :
       {std::string("https://me:pw@goproxy.example/"), std::string("nonsense"), std::string()}) {
    const auto page = web.read(url);
    ASSERT_FALSE(page) << url;
    EXPECT_EQ(page.error().message.find("pw"), std::string::npos);
  }
}

TEST(WebSession, ASilentServerEndsByTheDeadline) {
  ScriptedServer server([](const RecordedRequest& request) {
    return request.target == "/body"
               ? Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx").hold()
               : Reply::black_hole();
  });
  WebOptions options;
  options.answer = std::chrono::seconds(1);
  options.idle = std::chrono::seconds(1);
  WebSession web(options);
  EXPECT_FALSE(web.read(server.url() + "/silent"));
  auto answer = web.open(server.url() + "/body");
  ASSERT_TRUE(answer);
  EXPECT_THAT(body_of(web, *answer), HasSubstr("error: "));
}

TEST(WebSession, ACancelledOneAsksNothing) {
  const WebOptions options;
  WebSession web(options);
  web.cancel();
  EXPECT_TRUE(web.read("http://127.0.0.1:1/").error().cancelled);
  EXPECT_TRUE(web.open("http://127.0.0.1:1/").error().cancelled);
}

TEST(Netrc, IsReadAsGoReadsIt) {
  const auto logins = parse_netrc(
      "# comment\nmachine A.example login me password one\n"
      "machine b.example\n  login you\n  password two\n\n"
      "macdef init\nmachine c.example login x password y\n\n"
      "machine a.example login late password late\n"
      "machine d.example login alone\n"
      "default login any password any\nmachine e.example login x password y\n");
  const std::map<std::string, std::string> kWanted = {
      {"a.example", kube::basic_authorization("me", "one")},
      {"b.example", kube::basic_authorization("you", "two")},
      {"c.example", ""},
      {"d.example", ""},
      {"e.example", ""},
  };
  for (const auto& [host, wanted] : kWanted) {
    EXPECT_EQ(authorization_for(logins, host), wanted) << host;
  }
  EXPECT_TRUE(parse_netrc("").empty());
  EXPECT_TRUE(parse_netrc("machine").empty());
}

}  // namespace
}  // namespace gobuildenv::agent
