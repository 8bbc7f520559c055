#include "kube/client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "kube/make_client.hpp"

namespace gobuildenv::kube {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = Error::Kind;

const ResourceType kPods{"", "v1", "pods", "Pod", true};

/// Answers from a list, and keeps what was asked.
class FakeTransport final : public Transport {
 public:
  tl::expected<HttpResponse, TransportError> send(const HttpRequest& request) override {
    requests.push_back(request);
    if (before_send) {
      before_send();
    }
    if (request.may_send && !request.may_send()) {
      return tl::unexpected(TransportError{TransportError::Kind::Cancelled, "fence"});
    }
    ++sent;
    if (answers.empty()) {
      return HttpResponse{200, {}, "{}"};
    }
    auto answer = answers.front();
    answers.pop_front();
    return answer;
  }
  void fail(TransportError::Kind kind) {
    answers.emplace_back(tl::unexpected(TransportError{kind, "broken"}));
  }
  void answer(int status, Headers headers = {}, std::string body = "{}") {
    answers.emplace_back(HttpResponse{status, std::move(headers), std::move(body)});
  }

  std::deque<tl::expected<HttpResponse, TransportError>> answers;
  std::vector<HttpRequest> requests;
  std::function<void()> before_send;
  int sent = 0;
};

/// A stream over one string.
class TextStream final : public ByteStream {
 public:
  explicit TextStream(std::string text) : text_(std::move(text)) {}
  tl::expected<std::size_t, TransportError> read(char* buffer, std::size_t size,
                                                 Deadline) override {
    const std::size_t given = std::min(size, text_.size());
    text_.copy(buffer, given);
    text_.erase(0, given);
    return given;
  }
  void cancel() noexcept override {}

 private:
  std::string text_;
};

class FakeStreams final : public StreamTransport {
 public:
  tl::expected<StreamResponse, TransportError> open(const HttpRequest& request) override {
    requests.push_back(request);
    StreamResponse response;
    response.status = statuses.front();
    statuses.pop_front();
    response.body = std::make_unique<TextStream>(R"({"reason":"Expired","message":"old"})");
    return response;
  }
  std::deque<int> statuses;
  std::vector<HttpRequest> requests;
};

class FakeCredentials final : public Credentials {
 public:
  tl::expected<AuthHeaders, ConfigError> headers(Deadline) override {
    return AuthHeaders{{{"Authorization", "Bearer " + std::to_string(generation)}}, generation};
  }
  bool refresh(std::uint64_t, Deadline) override {
    ++refreshes;
    generation += changes ? 1 : 0;
    return changes;
  }
  tl::expected<TlsContext, ConfigError> tls() override { return TlsContext{}; }
  std::uint64_t generation = 1;
  int refreshes = 0;
  bool changes = true;
};

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() {
    parts_.transport = transport_;
    parts_.streams = streams_;
    parts_.credentials = credentials_;
    parts_.base_path = "/base";
    parts_.host = "api:443";
  }
  std::unique_ptr<Client> client(WriteFence fence = {}) {
    ClientOptions options;
    options.clock = &clock_;
    options.stop = &stop_;
    options.fence = std::move(fence);
    options.count = [this](const auto& code, const auto& method, const auto& host) {
      counted_.push_back(code + " " + method + " " + host);
    };
    return make_client(parts_, options);
  }
  Deadline soon() { return clock_.now() + seconds(60); }

  RealClock clock_;
  RequestStop stop_;
  std::shared_ptr<FakeTransport> transport_ = std::make_shared<FakeTransport>();
  std::shared_ptr<FakeStreams> streams_ = std::make_shared<FakeStreams>();
  std::shared_ptr<FakeCredentials> credentials_ = std::make_shared<FakeCredentials>();
  ClientParts parts_;
  std::vector<std::string> counted_;
};

TEST_F(ClientTest, SendsWhatEveryRequestCarries) {
  transport_->answer(200, {}, "body");
  const Deadline deadline = soon();
  EXPECT_EQ(*client()->get(kPods, {"a", "b"}, deadline), "body");
  const HttpRequest& request = transport_->requests.at(0);
  EXPECT_EQ(request.target, "/base/api/v1/namespaces/a/pods/b");
  EXPECT_EQ(request.deadline, deadline);
  EXPECT_EQ(header_value(request.headers, "authorization"), "Bearer 1");
  EXPECT_EQ(header_value(request.headers, "user-agent"), "gobuildenv");
  EXPECT_THAT(counted_, ElementsAre("200 GET api:443"));
}

TEST_F(ClientTest, RetriesWhatTheServerAskedToRetry) {
  transport_->answer(429, {{"Retry-After", "0"}});
  transport_->answer(503, {{"Retry-After", "0"}});
  transport_->answer(201);
  EXPECT_TRUE(client()->create(kPods, "a", "{}", soon()));
  EXPECT_EQ(transport_->sent, 3);
  EXPECT_THAT(counted_, ElementsAre("429 POST api:443", "503 POST api:443", "201 POST api:443"));
}

TEST_F(ClientTest, RetriesLostAnswersOfReadsOnly) {
  transport_->fail(TransportError::Kind::Closed);
  transport_->answer(200);
  EXPECT_TRUE(client()->get(kPods, {"a", "b"}, soon()));
  EXPECT_EQ(transport_->sent, 2);
  transport_->fail(TransportError::Kind::Closed);
  const auto written = client()->apply(kPods, {"a", "b"}, "{}", {}, soon());
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().kind, Kind::Retry);
  EXPECT_EQ(transport_->sent, 3);
  EXPECT_EQ(counted_.back(), "<error> PATCH api:443");
}

TEST_F(ClientTest, DoesNotWaitBeyondTheDeadline) {
  transport_->answer(429, {{"Retry-After", "100"}});
  const auto answer = client()->get(kPods, {"a", "b"}, soon());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, 429);
  EXPECT_EQ(answer.error().retry_after, seconds(100));
}

TEST_F(ClientTest, RefreshesCredentialsOnceAfter401) {
  transport_->answer(401);
  transport_->answer(200);
  EXPECT_TRUE(client()->get(kPods, {"a", "b"}, soon()));
  EXPECT_EQ(header_value(transport_->requests.at(1).headers, "authorization"), "Bearer 2");
  transport_->answer(401);
  transport_->answer(401);
  const auto refused = client()->apply(kPods, {"a", "b"}, "{}", {}, soon());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Kind::Forbidden);
  EXPECT_EQ(credentials_->refreshes, 2);
  credentials_->changes = false;
  transport_->answer(401);
  EXPECT_FALSE(client()->get(kPods, {"a", "b"}, soon()));
  EXPECT_EQ(transport_->sent, 5) << "the same credentials were tried twice";
}

TEST_F(ClientTest, AsksTheFenceBeforeEachWriteAndNeverForReads) {
  bool open = false;
  auto fenced = client([&] { return open; });
  for (const Error& error :
       {fenced->create(kPods, "a", "{}", soon()).error(),
        fenced->update(kPods, {"a", "b"}, "{}", "", soon()).error(),
        fenced->apply(kPods, {"a", "b"}, "{}", {}, soon()).error(),
        fenced->patch(kPods, {"a", "b"}, "{}", "application/merge-patch+json", "", soon()).error(),
        fenced->remove(kPods, {"a", "b"}, {}, soon()).error()}) {
    EXPECT_EQ(error.kind, Kind::ShuttingDown);
  }
  EXPECT_EQ(transport_->sent, 0);
  EXPECT_TRUE(fenced->get(kPods, {"a", "b"}, soon()));

  // Lost between two tries of one write.
  open = true;
  transport_->answer(429, {{"Retry-After", "0"}});
  transport_->before_send = [&, first = true]() mutable {
    open = first;
    first = false;
  };
  const auto written = fenced->apply(kPods, {"a", "b"}, "{}", {}, soon());
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().kind, Kind::ShuttingDown);
  EXPECT_EQ(transport_->sent, 2);
}

TEST_F(ClientTest, StopEndsWaitsAndFurtherRequests) {
  transport_->answer(429, {{"Retry-After", "30"}});
  transport_->before_send = [this] { stop_.stop(); };
  const auto answer = client()->get(kPods, {"a", "b"}, soon());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, Kind::ShuttingDown);
  EXPECT_EQ(transport_->requests.at(0).cancel, &stop_.signal()) << "a request under way ends, too";
  EXPECT_EQ(client()->get(kPods, {"a", "b"}, soon()).error().kind, Kind::ShuttingDown);
  EXPECT_EQ(client()->watch(kPods, {}).error().kind, Kind::ShuttingDown);
  EXPECT_EQ(transport_->sent, 1);
  EXPECT_TRUE(streams_->requests.empty());
}

TEST_F(ClientTest, SendsNothingForUnusableNames) {
  EXPECT_EQ(client()->get(kPods, {"a", "../secrets"}, soon()).error().kind, Kind::Invalid);
  EXPECT_EQ(transport_->sent, 0);
}

TEST_F(ClientTest, WatchRefusalsAreClassified) {
  streams_->statuses = {410};
  const auto gone = client()->watch(kPods, {});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().kind, Kind::Gone);
  EXPECT_EQ(gone.error().message, "old");
  streams_->statuses = {401, 200};
  const auto stream = client()->watch(kPods, {});
  ASSERT_TRUE(stream);
  EXPECT_EQ(streams_->requests.back().cancel, &stop_.signal());
  EXPECT_THAT(streams_->requests.back().target, HasSubstr("watch=1"));
  EXPECT_EQ(header_value(streams_->requests.back().headers, "authorization"), "Bearer 2");
  EXPECT_THAT(counted_, ElementsAre("410 GET api:443", "401 GET api:443", "200 GET api:443"));
}

}  // namespace
}  // namespace gobuildenv::kube
