#include "kube/events.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>

#include "kube/make_client.hpp"
#include "kube/pager.hpp"

namespace gobuildenv::kube {
namespace {

using nlohmann::json;
using std::chrono::seconds;

const ResourceType kEnvs{"gobuildenv.dev", "v1alpha1", "gobuildenvs", "GoBuildEnv", true};

Event event(const std::string& name, const std::string& reason = "Stalled") {
  Event out;
  out.type = kEnvs;
  out.key = {"ci", name};
  out.uid = "u-" + name;
  out.warning = true;
  out.reason = reason;
  out.note = "a sentence";
  return out;
}

class Series : public ::testing::Test {
 protected:
  FakeClock clock_;
  EventSeries series_{{}, clock_, [] { return 0.5; }};
};

TEST_F(Series, TheFirstIsAnEventAndTheSecondMakesItASeries) {
  const auto first = series_.add(event("a"));
  ASSERT_TRUE(first && first->create);
  const json body = json::parse(first->body);
  EXPECT_EQ(body["apiVersion"], "events.k8s.io/v1");
  EXPECT_EQ(body["metadata"]["name"], "a.800000000000");
  EXPECT_EQ(body["metadata"]["namespace"], "ci");
  EXPECT_EQ(body["regarding"]["apiVersion"], "gobuildenv.dev/v1alpha1");
  EXPECT_EQ(body["regarding"]["uid"], "u-a");
  EXPECT_EQ(body["type"], "Warning");
  EXPECT_EQ(body["action"], "Stalled");
  EXPECT_FALSE(body.contains("series"));

  const auto second = series_.add(event("a"));
  ASSERT_TRUE(second && !second->create);
  EXPECT_EQ(second->key, first->key);
  EXPECT_EQ(json::parse(second->body)["series"]["count"], 2);
  EXPECT_EQ(json::parse(second->recreate)["series"]["count"], 2);

  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(series_.add(event("a"))) << "counted, not written";
  }
  EXPECT_TRUE(series_.due().empty());
  clock_.advance(seconds(61));
  const auto due = series_.due();
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(json::parse(due[0].body)["series"]["count"], 7);
  EXPECT_TRUE(series_.due(true).empty()) << "written twice";
}

TEST_F(Series, DifferentThingsAreDifferentEvents) {
  Event other_uid = event("a");
  other_uid.uid = "reborn";
  EXPECT_TRUE(series_.add(event("a"))->create);
  EXPECT_TRUE(series_.add(event("b"))->create);
  EXPECT_TRUE(series_.add(event("a", "Ready"))->create);
  EXPECT_TRUE(series_.add(other_uid)->create);
}

TEST_F(Series, ALateRepetitionIsANewEvent) {
  EXPECT_TRUE(series_.add(event("a"))->create);
  clock_.advance(seconds(361));
  EXPECT_TRUE(series_.add(event("a"))->create);
  clock_.advance(seconds(361));
  EXPECT_TRUE(series_.due().empty());
  EXPECT_EQ(series_.size(), 0U);
}

TEST_F(Series, WhatIsKeptIsBounded) {
  EventSeriesOptions options;
  options.max_series = 3;
  EventSeries small(options, clock_, [] { return 0.0; });
  for (const char* name : {"a", "b", "c", "d"}) {
    small.add(event(name));
    clock_.advance(seconds(1));
  }
  EXPECT_EQ(small.size(), 3U);
  EXPECT_TRUE(small.add(event("a"))->create) << "the least recent was not the one forgotten";
}

TEST_F(Series, FitsTheServersLimits) {
  Event hostile = event(std::string(253, 'n'), std::string(300, 'R'));
  hostile.note = std::string(1023, 'x') + "ü\xff";
  hostile.key.ns = "";
  const auto write = series_.add(hostile);
  const json body = json::parse(write->body);
  EXPECT_EQ(body["metadata"]["namespace"], "default");
  EXPECT_EQ(body["metadata"]["name"].get<std::string>().size(), 253U);
  EXPECT_EQ(body["reason"].get<std::string>().size(), 128U);
  EXPECT_EQ(body["note"], std::string(1023, 'x'));
}

/// An API server that keeps Events, or blocks, or has lost one.
class EventStore final : public Transport {
 public:
  tl::expected<HttpResponse, TransportError> send(const HttpRequest& request) override {
    std::unique_lock lock(mutex_);
    requests_.push_back(request);
    changed_.notify_all();
    changed_.wait(lock, [this] { return !blocked_; });
    const bool lost = request.method == Method::Patch && lost_;
    return HttpResponse{lost ? 404 : 201, {}, "{}"};
  }
  void block(bool on) {
    const std::lock_guard lock(mutex_);
    blocked_ = on;
    changed_.notify_all();
  }
  void lose() {
    const std::lock_guard lock(mutex_);
    lost_ = true;
  }
  std::vector<HttpRequest> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, seconds(20), [&] { return requests_.size() >= count; });
    return requests_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<HttpRequest> requests_;
  bool blocked_ = false;
  bool lost_ = false;
};

class Writer : public ::testing::Test {
 protected:
  Writer() {
    ClientParts parts;
    parts.transport = store_;
    ClientOptions options;
    options.clock = &clock_;
    client_ = make_client(parts, options);
  }
  std::unique_ptr<EventWriter> writer(std::size_t queue = 1000) {
    EventRecorderOptions options;
    options.queue = queue;
    options.dropped = [this] { ++dropped_; };
    return std::make_unique<EventWriter>(*client_, options, clock_, [] { return 0.25; });
  }

  RealClock clock_;
  std::shared_ptr<EventStore> store_ = std::make_shared<EventStore>();
  std::unique_ptr<Client> client_;
  std::atomic<int> dropped_{0};
};

TEST_F(Writer, WritesAndFlushesCountsAtTheEnd) {
  auto events = writer();
  for (int i = 0; i < 5; ++i) {
    events->record(event("a"));
  }
  events->stop();
  events->record(event("late"));
  const auto requests = store_->wait_for(3);
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(requests[0].method, Method::Post);
  EXPECT_EQ(requests[0].target,
            "/apis/events.k8s.io/v1/namespaces/ci/events?fieldManager=gobuildenv"
            "&fieldValidation=Strict");
  EXPECT_EQ(requests[1].method, Method::Patch);
  EXPECT_EQ(json::parse(requests[2].body)["series"]["count"], 5);
  EXPECT_EQ(dropped_, 1);
}

TEST_F(Writer, AnExpiredEventIsMadeAnewWithItsSeries) {
  store_->lose();
  auto events = writer();
  events->record(event("a"));
  events->record(event("a"));
  const auto requests = store_->wait_for(3);
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(requests[2].method, Method::Post);
  EXPECT_EQ(json::parse(requests[2].body)["series"]["count"], 2);
  EXPECT_EQ(json::parse(requests[2].body)["reason"], "Stalled");
}

TEST_F(Writer, DropsRatherThanBlocks) {
  store_->block(true);
  auto events = writer(10);
  events->record(event("first"));
  store_->wait_for(1);  // the thread is now inside a request that does not end
  for (int i = 0; i < 50; ++i) {
    events->record(event(std::to_string(i)));
  }
  EXPECT_EQ(dropped_, 40);
  store_->block(false);
  events->stop();
  EXPECT_EQ(store_->wait_for(11).size(), 11U);
}

/// A server of lists, page by page.
class Lists final : public Transport {
 public:
  tl::expected<HttpResponse, TransportError> send(const HttpRequest& request) override {
    targets.push_back(request.target.substr(request.target.find('?') + 1));
    auto answer = answers.front();
    answers.pop_front();
    return answer;
  }
  static HttpResponse page(const std::string& items, const std::string& next) {
    return {200,
            {},
            R"({"metadata":{"resourceVersion":"7","continue":")" + next + R"("},"items":[)" +
                items + "]}"};
  }
  std::deque<HttpResponse> answers;
  std::vector<std::string> targets;
};

class Pager : public ::testing::Test {
 protected:
  tl::expected<ListInfo, Error> walk(ListOptions options = {}) {
    ClientParts parts;
    parts.transport = lists_;
    ClientOptions client_options;
    client_options.clock = &clock_;
    auto client = make_client(parts, client_options);
    PagedList list;
    list.type = kEnvs;
    list.options = std::move(options);
    list.page_size = 2;
    return list_all(
        *client, list, [this](std::string_view item) { items_.emplace_back(item); },
        [this] { items_.clear(); }, clock_.now() + seconds(20));
  }

  RealClock clock_;
  std::shared_ptr<Lists> lists_ = std::make_shared<Lists>();
  std::vector<std::string> items_;
};

TEST_F(Pager, WalksThePages) {
  lists_->answers = {Lists::page("{\"a\":1},{\"a\":2}", "more"), Lists::page("{\"a\":3}", "")};
  const auto info = walk();
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->resource_version, "7");
  EXPECT_EQ(info->items, 3U);
  EXPECT_THAT(items_, ::testing::ElementsAre("{\"a\":1}", "{\"a\":2}", "{\"a\":3}"));
  EXPECT_THAT(lists_->targets, ::testing::ElementsAre("limit=2", "limit=2&continue=more"));
}

TEST_F(Pager, ALaterPageThatIsGoneMeansOneUnpagedList) {
  lists_->answers = {Lists::page("{\"a\":1}", "x"), Lists::page("{\"a\":2}", "y"),
                     HttpResponse{410, {}, R"({"reason":"Expired"})"},
                     Lists::page("{\"a\":1},{\"a\":2},{\"a\":3}", "")};
  ListOptions options;
  options.resource_version = "0";
  const auto info = walk(options);
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->items, 3U);
  EXPECT_EQ(items_.size(), 3U);
  EXPECT_EQ(lists_->targets.at(0), "limit=2&resourceVersion=0");
  EXPECT_THAT(lists_->targets.at(3), ::testing::Not(::testing::HasSubstr("limit")));
}

TEST_F(Pager, TheFirstPageGoneIsTheCallersMatter) {
  lists_->answers = {HttpResponse{410, {}, "{}"}};
  EXPECT_EQ(walk().error().kind, Error::Kind::Gone);
}

TEST_F(Pager, NoPagesAtAGivenVersion) {
  lists_->answers = {Lists::page("", "")};
  ListOptions options;
  options.resource_version = "42";
  EXPECT_TRUE(walk(options));
  EXPECT_THAT(lists_->targets, ::testing::ElementsAre("resourceVersion=42"));
}

TEST_F(Pager, ATornPageIsAnError) {
  lists_->answers = {HttpResponse{200, {}, R"({"items":[{"a":1},{"a")"}};
  EXPECT_EQ(walk().error().kind, Error::Kind::Retry);
}

}  // namespace
}  // namespace gobuildenv::kube
