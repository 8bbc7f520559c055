#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "kube/http_wire.hpp"
#include "kube/transports.hpp"
#include "tests/kube/relay_proxy.hpp"
#include "tests/kube/scripted_server.hpp"

namespace gobuildenv::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::RecordedRequest;
using testing::Reply;
using testing::ScriptedServer;
using Kind = TransportError::Kind;

Deadline in(milliseconds time) { return std::chrono::steady_clock::now() + time; }

class TransportTest : public ::testing::Test {
 protected:
  void serve(ScriptedServer::Handler handler) {
    server_ = std::make_unique<ScriptedServer>(std::move(handler), ScriptedServer::Tls{leaf_, ""});
    trust(authority_.certificate);
  }
  void trust(const std::string& ca) {
    TlsMaterial material;
    material.ca = ca;
    tls_ = {*make_tls_context(material), tls_.generation + 1};
  }
  TransportOptions options() {
    TransportOptions out;
    out.endpoint = {"127.0.0.1", server_->port(), true, ""};
    out.authority = "api.example";
    out.tls = [this] { return tls_; };
    return out;
  }
  static HttpRequest get(milliseconds time = seconds(20)) {
    HttpRequest request;
    request.target = "/a?b=c";
    request.headers = {{"X-Test", "yes"}};
    request.deadline = in(time);
    return request;
  }
  static HttpRequest patch() {
    HttpRequest request = get();
    request.method = Method::Patch;
    request.body = "the body";
    return request;
  }

  testing::Issued authority_ = testing::make_authority("ca");
  testing::Issued leaf_ = testing::issue(authority_, "server", {"IP:127.0.0.1", "DNS:api.example"});
  TlsContext tls_;
  std::unique_ptr<ScriptedServer> server_;
};

TEST_F(TransportTest, RequestsAndStreamsGoThroughTheProxy) {
  serve([](const RecordedRequest&) { return Reply::json(200, "through"); });
  const testing::RelayProxy proxy(server_->port());
  auto tunnelled = options();
  tunnelled.endpoint = {"api.example", 6443, true, "",
                        Tunnel{"127.0.0.1", proxy.port(), basic_authorization("me", "secret")}};
  auto transport = make_pooled_transport(tunnelled);
  for (int i = 0; i < 2; ++i) {
    const auto answer = transport->send(get());
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->body, "through");
  }
  auto streams = make_stream_transport(tunnelled);
  const auto stream = streams->open(get());
  ASSERT_TRUE(stream) << stream.error().message;
  EXPECT_EQ(stream->status, 200);
  // One tunnel for both requests, one for the stream; only the proxy sees the proxy's password.
  ASSERT_EQ(proxy.heads().size(), 2U);
  for (const std::string& head : proxy.heads()) {
    EXPECT_THAT(head, HasSubstr("CONNECT api.example:6443 HTTP/1.1\r\n"));
    EXPECT_THAT(head, HasSubstr("Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"));
  }
  EXPECT_EQ(server_->requests().at(0).header("proxy-authorization"), "");
}

TEST_F(TransportTest, SendsAndReceivesOverOneConnection) {
  serve([](const RecordedRequest&) { return Reply::json(201, "hello", {{"X-Answer", "42"}}); });
  auto transport = make_pooled_transport(options());
  for (int i = 0; i < 3; ++i) {
    auto answer = transport->send(patch());
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->status, 201);
    EXPECT_EQ(answer->body, "hello");
    EXPECT_EQ(answer->header("x-answer"), "42");
  }
  EXPECT_EQ(server_->connections(), 1U);
  const auto seen = server_->requests().at(0);
  EXPECT_EQ(seen.method, "PATCH");
  EXPECT_EQ(seen.target, "/a?b=c");
  EXPECT_EQ(seen.header("host"), "api.example");
  EXPECT_EQ(seen.header("x-test"), "yes");
  EXPECT_EQ(seen.body, "the body");
}

TEST_F(TransportTest, ThreadsShareThePool) {
  serve([](const RecordedRequest&) { return Reply::json(200, std::string(100000, 'x')); });
  auto transport = make_pooled_transport(options());
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        auto answer = transport->send(get());
        good += answer && answer->body.size() == 100000 ? 1 : 0;
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(good, 160);
  EXPECT_LE(server_->connections(), 8U);
}

TEST_F(TransportTest, ADripDoesNotMoveTheDeadline) {
  serve([](const RecordedRequest&) {
    return Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        .drip(std::string(1000, 'x'), milliseconds(10));
  });
  auto transport = make_pooled_transport(options());
  auto answer = transport->send(get(milliseconds(200)));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, Kind::Timeout);
}

TEST_F(TransportTest, ABlackHoleEndsByTheDeadline) {
  serve([](const RecordedRequest&) { return Reply::black_hole(); });
  auto transport = make_pooled_transport(options());
  EXPECT_EQ(transport->send(get(milliseconds(100))).error().kind, Kind::Timeout);
  auto streams = make_stream_transport(options());
  EXPECT_EQ(streams->open(get(milliseconds(100))).error().kind, Kind::Timeout);
}

TEST_F(TransportTest, TornAnswersAreErrorsAndTheirConnectionsAreNotReused) {
  int calls = 0;
  serve([&](const RecordedRequest&) {
    switch (calls++) {
      case 0:
        return Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive.").close();
      case 1:
        return Reply::stream().chunk("half").truncate();
      case 2:
        return Reply::raw("this is not HTTP\r\n\r\n");
      case 3:
        return Reply::json(200, "a").close();
      default:
        return Reply::json(200, "fine");
    }
  });
  auto transport = make_pooled_transport(options());
  EXPECT_EQ(transport->send(patch()).error().kind, Kind::Closed);
  EXPECT_EQ(transport->send(patch()).error().kind, Kind::Closed);
  EXPECT_EQ(transport->send(patch()).error().kind, Kind::Protocol);
  EXPECT_EQ(transport->send(patch())->body, "a");
  EXPECT_EQ(transport->send(get())->body, "fine");
}

TEST_F(TransportTest, AClosedIdleConnectionIsNoticed) {
  serve([](const RecordedRequest&) { return Reply::json(200, "x"); });
  auto transport = make_pooled_transport(options());
  ASSERT_TRUE(transport->send(get()));
  server_->drop_connections();
  // A write, too: the pool sees the end of the connection before it uses it again.
  std::this_thread::sleep_for(milliseconds(50));
  auto answer = transport->send(patch());
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(server_->connections(), 2U);
}

TEST_F(TransportTest, AWriteIsNeverSentTwice) {
  std::atomic<int> calls{0};
  serve([&](const RecordedRequest&) {
    return ++calls == 1 ? Reply::json(200, "x") : Reply::hang_up();
  });
  auto transport = make_pooled_transport(options());
  ASSERT_TRUE(transport->send(get()));
  EXPECT_EQ(transport->send(patch()).error().kind, Kind::Closed);
  EXPECT_EQ(calls, 2);
  ASSERT_FALSE(transport->send(get()));
  EXPECT_EQ(calls, 3) << "a GET on a new connection is not sent again here";
}

TEST_F(TransportTest, LimitsTheBody) {
  serve([](const RecordedRequest&) { return Reply::json(200, std::string(5000, 'x')); });
  auto small = options();
  small.max_response = 4096;
  EXPECT_EQ(make_pooled_transport(small)->send(get()).error().kind, Kind::TooLarge);
}

TEST_F(TransportTest, MakesRoomForWhatIsExpectedWithinTheLimit) {
  serve([](const RecordedRequest&) { return Reply::json(200, "x"); });
  auto request = get();
  request.expected_body = 100'000;
  const auto roomy = make_pooled_transport(options())->send(request);
  ASSERT_TRUE(roomy) << roomy.error().message;
  EXPECT_EQ(roomy->body, "x");
  EXPECT_GE(roomy->body.capacity(), 100'000U);
  auto small = options();
  small.max_response = 4096;
  const auto limited = make_pooled_transport(small)->send(request);
  ASSERT_TRUE(limited) << limited.error().message;
  EXPECT_LT(limited->body.capacity(), 100'000U);
}

TEST_F(TransportTest, TrustsOnlyTheGivenAuthorityAndName) {
  serve([](const RecordedRequest&) { return Reply::json(200, "x"); });
  trust(testing::make_authority("another").certificate);
  auto stranger = make_pooled_transport(options())->send(patch());
  ASSERT_FALSE(stranger);
  EXPECT_EQ(stranger.error().kind, Kind::Tls);
  EXPECT_THAT(stranger.error().message, HasSubstr("not trusted"));

  trust(authority_.certificate);
  auto named = options();
  named.endpoint.server_name = "api.example";
  EXPECT_TRUE(make_pooled_transport(named)->send(get()));
  named.endpoint.server_name = "other.example";
  EXPECT_EQ(make_pooled_transport(named)->send(get()).error().kind, Kind::Tls);
  named.endpoint.server_name = "127.0.0.2";
  EXPECT_EQ(make_pooled_transport(named)->send(get()).error().kind, Kind::Tls);
  EXPECT_EQ(server_->requests().size(), 1U);
}

TEST_F(TransportTest, AnewGenerationLeavesOldConnectionsBehind) {
  serve([](const RecordedRequest&) { return Reply::json(200, "x"); });
  auto transport = make_pooled_transport(options());
  ASSERT_TRUE(transport->send(get()));
  const auto next = testing::make_authority("next");
  const auto leaf = testing::issue(next, "server", {"IP:127.0.0.1"});
  server_->use_certificate({leaf, ""});
  ASSERT_TRUE(transport->send(get()));
  EXPECT_EQ(server_->connections(), 1U);
  trust(next.certificate);
  ASSERT_TRUE(transport->send(get()));
  EXPECT_EQ(server_->connections(), 2U);
}

TEST_F(TransportTest, ShowsItsCertificate) {
  serve([](const RecordedRequest&) { return Reply::json(200, "x"); });
  server_->use_certificate({leaf_, authority_.certificate});
  EXPECT_FALSE(make_pooled_transport(options())->send(get()));
  const auto mine = testing::issue(authority_, "client", {});
  TlsMaterial material;
  material.ca = authority_.certificate;
  material.certificate = mine.certificate;
  material.key = mine.key;
  tls_ = {*make_tls_context(material), 9};
  auto answer = make_pooled_transport(options())->send(get());
  EXPECT_TRUE(answer) << answer.error().message;
}

TEST_F(TransportTest, RefusesToSendWhenNotAllowed) {
  serve([](const RecordedRequest&) { return Reply::json(200, "x"); });
  auto request = patch();
  request.may_send = [] { return false; };
  auto transport = make_pooled_transport(options());
  EXPECT_EQ(transport->send(request).error().kind, Kind::Cancelled);
  EXPECT_EQ(server_->requests().size(), 0U);
}

TEST_F(TransportTest, ARaisedSignalEndsWhatIsUnderWay) {
  serve([](const RecordedRequest&) { return Reply::black_hole(); });
  CancelSignal signal;
  HttpRequest request = patch();
  request.deadline = in(seconds(60));
  request.cancel = &signal;
  auto transport = make_pooled_transport(options());
  auto streams = make_stream_transport(options());
  std::thread canceller([&] {
    EXPECT_TRUE(server_->wait_for_requests(2));
    signal.raise();
  });
  std::thread opener([&] { EXPECT_EQ(streams->open(request).error().kind, Kind::Cancelled); });
  EXPECT_EQ(transport->send(request).error().kind, Kind::Cancelled);
  opener.join();
  canceller.join();
  // And whatever comes later is not sent.
  EXPECT_EQ(transport->send(request).error().kind, Kind::Cancelled);
  EXPECT_EQ(streams->open(request).error().kind, Kind::Cancelled);
  EXPECT_EQ(server_->requests().size(), 2U);
  EXPECT_EQ(server_->connections(), 2U);
}

TEST_F(TransportTest, NobodyListens) {
  serve([](const RecordedRequest&) { return Reply::json(200, "x"); });
  const auto dead = options();
  server_.reset();
  EXPECT_EQ(make_pooled_transport(dead)->send(get()).error().kind, Kind::Connect);
  EXPECT_EQ(make_stream_transport(dead)->open(get()).error().kind, Kind::Connect);
}

TEST_F(TransportTest, ResolvesNames) {
  server_ = std::make_unique<ScriptedServer>(
      [](const RecordedRequest&) { return Reply::json(200, "x"); });
  auto plain = options();
  plain.endpoint = {"localhost", server_->port(), false, ""};
  auto answer = make_pooled_transport(plain)->send(get());
  EXPECT_TRUE(answer) << answer.error().message;
}

TEST_F(TransportTest, HeadersAndTargetsCannotEndTheirLine) {
  HttpRequest request = get();
  request.headers = {{"Authorization", "Bearer a\r\nX-Evil: 1"}};
  const auto refused = request_bytes(request, "h");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, ::testing::Not(HasSubstr("Bearer")));
  request.headers.clear();
  for (const char* target : {"", "a", "/a b", "/a\r\n"}) {
    request.target = target;
    EXPECT_FALSE(request_bytes(request, "h")) << target;
  }
}

std::string read_all(ByteStream& stream, milliseconds idle,
                     tl::expected<void, TransportError>& end) {
  std::string out;
  char chunk[7];
  for (;;) {
    auto got = stream.read(chunk, sizeof chunk, in(idle));
    if (!got) {
      end = tl::unexpected(got.error());
      return out;
    }
    if (*got == 0) {
      end = {};
      return out;
    }
    out.append(chunk, *got);
  }
}

TEST_F(TransportTest, StreamsArriveAsTheyAreSent) {
  serve([](const RecordedRequest&) {
    return Reply::stream()
        .chunk("first line\n")
        .pause(milliseconds(50))
        .chunk("second ")
        .chunk("line\n")
        .end();
  });
  auto opened = make_stream_transport(options())->open(get());
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->status, 200);
  char buffer[64];
  auto first = opened->body->read(buffer, sizeof buffer, in(seconds(20)));
  ASSERT_TRUE(first);
  EXPECT_EQ(std::string_view(buffer, *first), "first line\n");
  tl::expected<void, TransportError> end;
  EXPECT_EQ(read_all(*opened->body, seconds(20), end), "second line\n");
  EXPECT_TRUE(end);
}

TEST_F(TransportTest, StreamsOfOneByteChunksAndLargeOnes) {
  const std::string large(70000, 'y');
  serve([&](const RecordedRequest&) {
    auto reply = Reply::stream();
    for (int i = 0; i < 50; ++i) {
      reply.chunk("x");
    }
    return reply.chunk(large).end();
  });
  auto opened = make_stream_transport(options())->open(get());
  ASSERT_TRUE(opened);
  tl::expected<void, TransportError> end;
  EXPECT_EQ(read_all(*opened->body, seconds(20), end), std::string(50, 'x') + large);
  EXPECT_TRUE(end);
}

TEST_F(TransportTest, ATornStreamIsNoCleanEnd) {
  serve([](const RecordedRequest&) { return Reply::stream().chunk("half a li").truncate(); });
  auto opened = make_stream_transport(options())->open(get());
  ASSERT_TRUE(opened);
  tl::expected<void, TransportError> end;
  EXPECT_EQ(read_all(*opened->body, seconds(20), end), "half a li");
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().kind, Kind::Closed);
}

TEST_F(TransportTest, ASilentStreamEndsByTheIdleDeadline) {
  serve([](const RecordedRequest&) { return Reply::stream().chunk("a").hold(); });
  auto opened = make_stream_transport(options())->open(get());
  ASSERT_TRUE(opened);
  tl::expected<void, TransportError> end;
  EXPECT_EQ(read_all(*opened->body, milliseconds(100), end), "a");
  EXPECT_EQ(end.error().kind, Kind::Timeout);
}

TEST_F(TransportTest, CancelFromAnotherThreadEndsTheRead) {
  serve([](const RecordedRequest&) { return Reply::stream().chunk("a").hold(); });
  auto opened = make_stream_transport(options())->open(get());
  ASSERT_TRUE(opened);
  std::thread canceller([&] {
    std::this_thread::sleep_for(milliseconds(50));
    opened->body->cancel();
  });
  tl::expected<void, TransportError> end;
  read_all(*opened->body, seconds(60), end);
  canceller.join();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().kind, Kind::Cancelled);
  char byte = 0;
  EXPECT_EQ(opened->body->read(&byte, 1, in(seconds(1))).error().kind, Kind::Cancelled);
}

TEST_F(TransportTest, AConnectionForgetsTheSignalOfItsLastRequest) {
  serve([](const RecordedRequest& request) {
    return request.method == "GET" ? Reply::stream().chunk("a").chunk("b").end()
                                   : Reply::json(200, "x");
  });
  auto transport = make_pooled_transport(options());
  auto signal = std::make_unique<CancelSignal>();
  HttpRequest request = patch();
  request.cancel = signal.get();
  ASSERT_TRUE(transport->send(request));
  HttpRequest stream_request = get();
  stream_request.cancel = signal.get();
  auto stream = make_stream_transport(options())->open(stream_request);
  ASSERT_TRUE(stream);
  signal->raise();
  signal.reset();
  EXPECT_TRUE(transport->send(patch()));
  EXPECT_EQ(server_->connections(), 2U) << "one for both requests, one for the stream";
  tl::expected<void, TransportError> end;
  EXPECT_EQ(read_all(*stream->body, seconds(20), end), "ab");
  EXPECT_TRUE(end);
}

TEST_F(TransportTest, ARefusedStreamHasItsBody) {
  serve([](const RecordedRequest&) { return Reply::json(410, "gone"); });
  auto opened = make_stream_transport(options())->open(get());
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->status, 410);
  tl::expected<void, TransportError> end;
  EXPECT_EQ(read_all(*opened->body, seconds(5), end), "gone");
}

TEST(TlsContextTest, SaysWhichPartIsBroken) {
  const auto authority = testing::make_authority("ca");
  const auto one = testing::issue(authority, "one", {});
  const auto two = testing::issue(authority, "two", {});
  const auto fails = [](TlsMaterial material) {
    auto made = make_tls_context(material);
    return made ? std::string("accepted") : made.error();
  };
  EXPECT_EQ(fails({authority.certificate, one.certificate, one.key, false, false}), "accepted");
  EXPECT_THAT(fails({"nonsense", "", "", false, false}), HasSubstr("authority"));
  EXPECT_THAT(fails({authority.certificate.substr(0, 100), "", "", false, false}),
              HasSubstr("authority"));
  EXPECT_THAT(
      fails({authority.certificate + authority.certificate.substr(0, 99), "", "", false, false}),
      HasSubstr("authority"));
  EXPECT_THAT(fails({"", one.certificate, "", false, false}), HasSubstr("no key"));
  EXPECT_THAT(fails({"", "", one.key, false, false}), HasSubstr("no certificate"));
  EXPECT_THAT(fails({"", one.certificate, two.key, false, false}), HasSubstr("does not belong"));
  EXPECT_THAT(fails({"", one.certificate, one.key.substr(0, 60), false, false}), HasSubstr("key"));
}

}  // namespace
}  // namespace gobuildenv::kube
