#include "kube/web_transport.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "kube/cancel_signal.hpp"
#include "tests/kube/scripted_server.hpp"

namespace gobuildenv::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::RecordedRequest;
using testing::Reply;
using testing::ScriptedServer;
using Kind = TransportError::Kind;

HttpRequest get(milliseconds time = seconds(20)) {
  HttpRequest request;
  request.target = "/golang.org/toolchain/@v/list";
  request.deadline = std::chrono::steady_clock::now() + time;
  return request;
}

WebOptions options_for(const ScriptedServer& server) {
  WebOptions options;
  options.base_url = server.url() + "/base";
  return options;
}

TEST(WebTransport, SendsAndReceives) {
  ScriptedServer server([](const RecordedRequest&) { return Reply::json(200, "v1\nv2\n"); });
  auto web = make_web_transport(options_for(server));
  for (int i = 0; i < 2; ++i) {
    auto answer = web->send(get());
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, "v1\nv2\n");
    EXPECT_EQ(answer->header("content-type"), "application/json");
  }
  const auto seen = server.requests().at(0);
  EXPECT_EQ(seen.target, "/base/golang.org/toolchain/@v/list");
  EXPECT_EQ(seen.header("user-agent"), "gobuildenv");
}

TEST(WebTransport, ReadsLargeBodiesUpToItsLimit) {
  const std::string large(300000, 'x');
  ScriptedServer server([&](const RecordedRequest&) { return Reply::json(404, large); });
  auto options = options_for(server);
  EXPECT_EQ(make_web_transport(options)->send(get())->body, large);
  options.max_response = 100000;
  EXPECT_EQ(make_web_transport(options)->send(get()).error().kind, Kind::TooLarge);
}

TEST(WebTransport, ADripDoesNotMoveTheDeadline) {
  ScriptedServer server([](const RecordedRequest&) {
    return Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        .drip(std::string(1000, 'x'), milliseconds(10));
  });
  auto web = make_web_transport(options_for(server));
  EXPECT_EQ(web->send(get(milliseconds(200))).error().kind, Kind::Timeout);
}

TEST(WebTransport, ABlackHoleEndsByTheDeadline) {
  ScriptedServer server([](const RecordedRequest&) { return Reply::black_hole(); });
  auto web = make_web_transport(options_for(server));
  EXPECT_EQ(web->send(get(milliseconds(100))).error().kind, Kind::Timeout);
}

TEST(WebTransport, ARaisedSignalEndsWhatIsUnderWay) {
  ScriptedServer server([](const RecordedRequest&) { return Reply::black_hole(); });
  auto web = make_web_transport(options_for(server));
  CancelSignal signal;
  HttpRequest request = get(seconds(60));
  request.cancel = &signal;
  std::thread canceller([&] {
    EXPECT_TRUE(server.wait_for_requests(1));
    signal.raise();
  });
  EXPECT_EQ(web->send(request).error().kind, Kind::Cancelled);
  canceller.join();
  EXPECT_EQ(web->send(request).error().kind, Kind::Cancelled);
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST(WebTransport, TornAnswersAndDeadServersAreErrors) {
  std::string url;
  {
    ScriptedServer server([](const RecordedRequest&) {
      return Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive.").close();
    });
    url = server.url();
    EXPECT_FALSE(make_web_transport(options_for(server))->send(get()));
  }
  WebOptions options;
  options.base_url = url;
  EXPECT_FALSE(make_web_transport(options)->send(get()));
}

TEST(WebTransport, TrustsAPrivateAuthorityWhenTold) {
  const auto authority = testing::make_authority("private");
  const auto leaf = testing::issue(authority, "proxy", {"IP:127.0.0.1"});
  ScriptedServer server([](const RecordedRequest&) { return Reply::json(200, "x"); },
                        ScriptedServer::Tls{leaf, ""});
  auto options = options_for(server);
  EXPECT_FALSE(make_web_transport(options)->send(get())) << "the system's store has no such CA";
  options.extra_ca = authority.certificate;
  auto answer = make_web_transport(options)->send(get());
  EXPECT_TRUE(answer) << answer.error().message;
  options.system_trust = false;
  EXPECT_TRUE(make_web_transport(options)->send(get()));
}

TEST(WebTransport, GoesThroughAProxy) {
  ScriptedServer proxy([](const RecordedRequest&) { return Reply::json(200, "by proxy"); });
  WebOptions options;
  options.base_url = "http://goproxy.example";
  options.proxy_url = "http://me:pw@127.0.0.1:" + std::to_string(proxy.port());
  auto answer = make_web_transport(options)->send(get());
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->body, "by proxy");
  const auto seen = proxy.requests().at(0);
  EXPECT_THAT(seen.target, ::testing::StartsWith("http://goproxy.example"));
  EXPECT_EQ(seen.header("proxy-authorization"), "Basic bWU6cHc=");
}

TEST(WebTransport, ABadBaseUrlIsAnError) {
  WebOptions options;
  options.base_url = "not a url";
  EXPECT_FALSE(make_web_transport(options)->send(get()));
}

}  // namespace
}  // namespace gobuildenv::kube
