#include "webhooks/server/server.hpp"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "https_client.hpp"

namespace gobuildenv::webhooks::server {
namespace {

using certificates::KeyPair;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HttpsClient;
using testing::Reply;

struct Authority {
  KeyPair ca =
      *certificates::issue_ca({std::chrono::system_clock::now(), hours(24), "test-ca", {}, {}});
  KeyPair leaf() const {
    return *certificates::issue_leaf(
        {std::chrono::system_clock::now(), hours(1), "webhook.test", {"webhook.test"}, {}}, ca);
  }
};

struct Counter : Observer {
  std::atomic<int> started_count{0};
  std::atomic<int> finished_count{0};
  std::mutex mutex;
  std::vector<std::string> failures;
  std::map<std::string, int> statuses;

  void started(std::string_view) noexcept override { ++started_count; }
  void finished(std::string_view path, int status, std::chrono::nanoseconds) noexcept override {
    ++finished_count;
    const std::lock_guard lock(mutex);
    ++statuses[std::string(path) + " " + std::to_string(status)];
  }
  void failed(std::string_view stage, std::string_view error) noexcept override {
    const std::lock_guard lock(mutex);
    failures.push_back(std::string(stage) + ": " + std::string(error));
  }
};

/// A handler that holds its request until the test lets go.
struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  bool entered = false;
  bool open = false;

  Answer hold() {
    std::unique_lock lock(mutex);
    entered = true;
    changed.notify_all();
    changed.wait(lock, [this] { return open; });
    return {200, "held"};
  }
  void wait_entered() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return entered; });
  }
  void let_go() {
    const std::lock_guard lock(mutex);
    open = true;
    changed.notify_all();
  }
};

class ServerTest : public ::testing::Test {
 protected:
  Options options() {
    Options result;
    result.address = "127.0.0.1";
    result.port = 0;
    return result;
  }

  void start(Options given) {
    Routes routes;
    routes["/echo"] = [](std::string_view body) { return Answer{200, std::string(body)}; };
    routes["/fail"] = [](std::string_view) -> Answer { throw std::runtime_error("secret"); };
    routes["/hold"] = [this](std::string_view) { return gate_.hold(); };
    server_ = std::make_unique<Server>(std::move(given), std::move(routes), &counter_);
    const auto started = server_->start(authority_.leaf());
    ASSERT_TRUE(started) << started.error();
  }

  std::unique_ptr<HttpsClient> client() {
    return std::make_unique<HttpsClient>(server_->port(), authority_.ca.certificate);
  }

  Authority authority_;
  Counter counter_;
  Gate gate_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, AnswersOverOneConnection) {
  start(options());
  const auto c = client();
  ASSERT_EQ(c->error(), "");
  EXPECT_EQ(c->alpn(), "http/1.1");
  for (int i = 0; i < 3; ++i) {
    const Reply reply = c->post("/echo?timeout=2s", "{\"n\":" + std::to_string(i) + "}");
    EXPECT_EQ(reply.status, 200) << reply.error;
    EXPECT_EQ(reply.body, "{\"n\":" + std::to_string(i) + "}");
    EXPECT_EQ(reply.connection, "");
  }
  EXPECT_EQ(server_->connections(), 1U);
  EXPECT_EQ(counter_.started_count, 3);
  EXPECT_EQ(counter_.finished_count, 3);
}

TEST_F(ServerTest, RefusesWhatItDoesNotServe) {
  start(options());
  const auto c = client();
  EXPECT_EQ(c->post("/nowhere", "{}").status, 404);
  EXPECT_EQ(c->request("GET", "/echo", "", "application/json").status, 405);
  EXPECT_EQ(c->post("/echo", "{}", "text/plain").status, 415);
  const Reply failed = c->post("/fail", "{}");
  EXPECT_EQ(failed.status, 500);
  EXPECT_EQ(failed.body.find("secret"), std::string::npos);
  EXPECT_EQ(c->post("/echo", "{}").status, 200) << "the connection is still good";
  EXPECT_EQ(counter_.statuses["other 404"], 1);
}

TEST_F(ServerTest, ServesPipelinedRequestsInOrder) {
  start(options());
  const auto c = client();
  const std::string head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
  c->write_raw(head + "Content-Length: 1\r\n\r\n1" + head + "Content-Length: 1\r\n\r\n2");
  EXPECT_EQ(c->read_reply().body, "1");
  EXPECT_EQ(c->read_reply().body, "2");
}

TEST_F(ServerTest, ServesPipelinesBesideOtherConnections) {
  Options one_thread = options();
  one_thread.threads = 1;
  start(one_thread);
  const auto busy = client();
  const auto other = client();
  constexpr int kRequests = 500;
  std::string pipeline;
  for (int i = 0; i < kRequests; ++i) {
    const std::string body = std::to_string(i);
    pipeline += "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    pipeline += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  busy->write_raw(pipeline);
  EXPECT_EQ(other->post("/echo", "{}").body, "{}");
  for (int i = 0; i < kRequests; ++i) ASSERT_EQ(busy->read_reply().body, std::to_string(i));
  EXPECT_TRUE(counter_.failures.empty());
}

TEST_F(ServerTest, ReadsChunkedBodiesAndAnswersExpectations) {
  start(options());
  const auto c = client();
  const std::string head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
  c->write_raw(head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ(c->read_reply().body, "abcde");
  c->write_raw(head + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(c->read_reply().status, 100);
  c->write_raw("{}");
  EXPECT_EQ(c->read_reply().body, "{}");
}

TEST_F(ServerTest, TakesSevenMebibytesAndNoMore) {
  start(options());
  const std::string largest(std::size_t{7} << 20, ' ');
  EXPECT_EQ(client()->post("/echo", largest).body.size(), largest.size());
  const Reply refused = client()->post("/echo", largest + " ");
  EXPECT_EQ(refused.status, 413) << refused.error;
  EXPECT_EQ(refused.connection, "close");
  const auto chunked = client();
  chunked->write_raw(
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\n\r\n700001\r\n" +
      largest + " ");
  EXPECT_EQ(chunked->read_reply().status, 413);
}

TEST_F(ServerTest, SpeaksTls12AndNewerAsConfigured) {
  start(options());
  const std::string& ca = authority_.ca.certificate;
  EXPECT_EQ(HttpsClient(server_->port(), ca, TLS1_2_VERSION).tls_version(), "TLSv1.2");
  EXPECT_NE(HttpsClient(server_->port(), ca, TLS1_1_VERSION).error(), "");
  EXPECT_NE(HttpsClient(server_->port(), ca, 0, "h2").error(), "");
  Options strict = options();
  strict.min_tls = TlsVersion::Tls13;
  start(strict);
  EXPECT_EQ(client()->tls_version(), "TLSv1.3");
  EXPECT_NE(HttpsClient(server_->port(), ca, TLS1_2_VERSION).error(), "");
}

TEST(ServerOptions, OutlastTheApiServersIdleConnections) {
  EXPECT_EQ(Options{}.header_timeout, seconds(32));
  EXPECT_GE(Options{}.idle_timeout, seconds(90));
}

TEST_F(ServerTest, ClosesClientsThatDripOrStall) {
  Options impatient = options();
  impatient.handshake_timeout = milliseconds(200);
  impatient.header_timeout = milliseconds(200);
  impatient.body_timeout = milliseconds(200);
  impatient.idle_timeout = milliseconds(400);
  start(impatient);
  EXPECT_TRUE(testing::tcp_closed_after(server_->port(), "", seconds(20))) << "no handshake";
  const auto silent = client();
  EXPECT_TRUE(silent->closed_within(seconds(20)));
  const auto stalled = client();
  stalled->write_raw(
      "POST /echo HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{");
  EXPECT_TRUE(stalled->closed_within(seconds(20)));
  // One byte now and then must not win time: the deadline is for the whole header.
  const auto dripping = client();
  bool closed = false;
  for (const char byte : std::string(2000, 'a')) {
    if (!dripping->write_raw(std::string(1, byte)).empty() ||
        dripping->closed_within(milliseconds(10))) {
      closed = true;
      break;
    }
  }
  EXPECT_TRUE(closed);
}

TEST_F(ServerTest, SurvivesHostileBytes) {
  start(options());
  EXPECT_TRUE(testing::tcp_closed_after(server_->port(), "GET / HTTP/1.1\r\n\r\n", seconds(20)));
  EXPECT_TRUE(testing::tcp_closed_after(server_->port(), std::string(5000, '\xff'), seconds(20)));
  EXPECT_TRUE(testing::tcp_closed_after(
      server_->port(), std::string("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10), seconds(20)));
  const std::pair<std::string, int> broken[] = {
      {std::string(400, '\0') + "\r\n\r\n", 400},
      {"POST /echo HTTP/9.9\r\n\r\n", 400},
      {"POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
      {"POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
      {"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {"POST /echo HTTP/1.1\r\nX: " + std::string(40000, 'x') + "\r\n\r\n", 431},
  };
  for (const auto& [bytes, status] : broken) {
    const auto c = client();
    c->write_raw(bytes);
    EXPECT_EQ(c->read_reply().status, status) << bytes.substr(0, 60);
  }
  EXPECT_EQ(client()->post("/echo", "ok").body, "ok");
}

TEST_F(ServerTest, SwapsCertificatesWithoutTouchingConnections) {
  start(options());
  const auto old_connection = client();
  EXPECT_EQ(old_connection->post("/echo", "1").body, "1");
  const Authority next;
  ASSERT_TRUE(server_->set_certificate(next.leaf()));
  EXPECT_EQ(old_connection->post("/echo", "2").body, "2");
  EXPECT_NE(client()->error(), "") << "the old CA is not served any more";
  HttpsClient fresh(server_->port(), next.ca.certificate);
  EXPECT_EQ(fresh.post("/echo", "3").body, "3");
  EXPECT_FALSE(server_->set_certificate({next.leaf().certificate, next.leaf().private_key}));
  EXPECT_EQ(HttpsClient(server_->port(), next.ca.certificate).error(), "") << "still the last good";
}

TEST_F(ServerTest, RotatesUnderLoadWithoutOneError) {
  start(options());
  std::atomic<bool> done{false};
  std::atomic<int> requests{0};
  std::mutex mutex;
  std::vector<std::string> errors;
  std::vector<std::thread> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([&] {
      while (!done) {
        const auto c = client();
        for (int n = 0; n < 20 && !done; ++n) {
          const Reply reply = c->post("/echo", "{}");
          if (reply.status == 200) {
            ++requests;
            continue;
          }
          const std::lock_guard lock(mutex);
          errors.push_back(c->error() + reply.error);
          break;
        }
      }
    });
  }
  for (int i = 0; i < 30; ++i) {
    EXPECT_TRUE(server_->set_certificate(authority_.leaf()));
    const int before = requests;
    while (requests < before + 10) std::this_thread::yield();
  }
  done = true;
  for (std::thread& thread : clients) thread.join();
  EXPECT_TRUE(errors.empty()) << errors.size() << ", first: " << errors.front();
  EXPECT_TRUE(counter_.failures.empty()) << counter_.failures.front();
}

TEST_F(ServerTest, DrainsInOrder) {
  start(options());
  const auto busy = client();
  const auto idle = client();
  EXPECT_EQ(idle->post("/echo", "1").connection, "");
  std::thread waiting([&] {
    const Reply reply = busy->post("/hold", "{}");
    EXPECT_EQ(reply.body, "held") << reply.error;
    EXPECT_EQ(reply.connection, "close");
  });
  gate_.wait_entered();
  server_->begin_drain();
  // Still serving: connections that exist, and new ones. The held request occupies one worker, so
  // only a connection of the other one can answer now.
  std::thread opener([&] { gate_.let_go(); });
  opener.join();
  waiting.join();
  const Reply last = idle->post("/echo", "2");
  EXPECT_EQ(last.body, "2");
  EXPECT_EQ(last.connection, "close");
  EXPECT_TRUE(idle->closed_within(seconds(20)));
  EXPECT_EQ(client()->post("/echo", "3").connection, "close");
  const std::uint16_t port = server_->port();
  server_->stop(seconds(20));
  EXPECT_EQ(server_->connections(), 0U);
  EXPECT_NE(HttpsClient(port, authority_.ca.certificate).error(), "");
}

TEST_F(ServerTest, StopLetsARequestUnderWayFinish) {
  start(options());
  const auto busy = client();
  Reply reply;
  std::thread waiting([&] { reply = busy->post("/hold", "{}"); });
  gate_.wait_entered();
  std::thread stopping([&] { server_->stop(seconds(60)); });
  gate_.let_go();
  waiting.join();
  stopping.join();
  EXPECT_EQ(reply.body, "held") << reply.error;
}

TEST_F(ServerTest, SaysWhyItCannotListen) {
  start(options());
  Options taken = options();
  taken.port = server_->port();
  Server second(taken, {}, nullptr);
  const auto result = second.start(authority_.leaf());
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().find("127.0.0.1 port " + std::to_string(taken.port)), std::string::npos);
  Options bad = options();
  bad.address = "not-an-address";
  EXPECT_FALSE(Server(bad, {}, nullptr).start(authority_.leaf()));
  EXPECT_FALSE(Server(options(), {}, nullptr).start({"", ""}));
}

TEST_F(ServerTest, ListensOnAllAddressesByDefault) {
  Options all = options();
  all.address.clear();
  start(all);
  EXPECT_EQ(client()->post("/echo", "4").body, "4");
}

TEST_F(ServerTest, RefusesConnectionsBeyondItsLimit) {
  Options small = options();
  small.max_connections = 1;
  start(small);
  const auto first = client();
  EXPECT_EQ(first->post("/echo", "1").status, 200);
  EXPECT_NE(client()->error(), "");
  EXPECT_EQ(first->post("/echo", "2").status, 200);
}

}  // namespace
}  // namespace gobuildenv::webhooks::server
