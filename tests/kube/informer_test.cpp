#include "kube/informer.hpp"

#include <gtest/gtest.h>

#include <future>
#include <set>
#include <stdexcept>
#include <thread>

#include "kube/object_meta.hpp"
#include "tests/kube/fake_client.hpp"

namespace gobuildenv::kube {
namespace {

using std::chrono::seconds;
using testing::bookmark_line;
using testing::error_line;
using testing::error_of;
using testing::event_line;
using testing::list_json;
using testing::object_json;
using testing::Pipe;
using testing::PipeStream;

struct Thing {
  std::string data;
};

tl::expected<Decoded<Thing>, std::string> decode_thing(std::string_view json) {
  auto identity = decode_identity(json);
  if (!identity) return tl::unexpected(identity.error());
  const auto begin = json.find("\"data\":\"") + 8;
  const auto data = json.substr(begin, json.find('"', begin) - begin);
  if (data == "poison") throw std::runtime_error("poisoned");
  return Decoded<Thing>{identity->meta, std::make_shared<const Thing>(Thing{std::string(data)})};
}

std::string object(const std::string& name, int version, const std::string& data = "x") {
  return object_json("ns", name, "uid-" + name, std::to_string(version), data);
}

/// An informer whose server is two queues of answers. A call beyond the script is refused, which
/// the informer survives; the test then finds out by its expectations.
struct Fixture {
  FakeClock clock;
  testing::FakeClient client;
  Metrics metrics;
  std::mutex mutex;
  std::deque<tl::expected<std::string, Error>> lists;
  std::deque<tl::expected<std::shared_ptr<Pipe>, Error>> watches;
  std::vector<std::string> asked;
  std::vector<std::string> changes;
  bool run_clock = true;
  double random = 0.5;  ///< not to be changed after start()
  std::unique_ptr<Informer<Thing>> informer;
  std::thread ticker;
  std::atomic<bool> stop{false};

  enum class Listing { Paged, Streaming, Watched };
  explicit Fixture(bool streaming = false)
      : Fixture(streaming ? Listing::Streaming : Listing::Paged) {}
  explicit Fixture(Listing listing) {
    client.on_list = [this](const ListOptions& options) -> tl::expected<ListPage, Error> {
      const std::lock_guard lock(mutex);
      asked.push_back("list rv=" + options.resource_version +
                      " limit=" + std::to_string(options.limit) +
                      (options.continue_token.empty() ? "" : " next=" + options.continue_token));
      if (lists.empty()) return tl::unexpected(error_of(Error::Kind::Retry, 503));
      auto answer = std::move(lists.front());
      lists.pop_front();
      if (!answer) return tl::unexpected(answer.error());
      return ListPage{*answer};
    };
    client.on_watch =
        [this](const WatchOptions& options) -> tl::expected<std::unique_ptr<ByteStream>, Error> {
      const std::lock_guard lock(mutex);
      asked.push_back(std::string(options.send_initial_events ? "stream" : "watch") +
                      " rv=" + options.resource_version);
      if (watches.empty()) return tl::unexpected(error_of(Error::Kind::Retry, 503));
      auto answer = std::move(watches.front());
      watches.pop_front();
      if (!answer) return tl::unexpected(answer.error());
      return std::make_unique<PipeStream>(*answer);
    };
    InformerOptions options;
    options.type = {"", "v1", "things", "Thing", true};
    options.watch.streaming_list = listing == Listing::Streaming;
    options.watch.newest_first_list = listing == Listing::Watched;
    options.watch_while_listing = listing == Listing::Watched;
    options.max_line_bytes = 4096;
    informer = std::make_unique<Informer<Thing>>(
        InformerRuntime{client, clock, [this] { return random; }, &metrics}, options, decode_thing,
        std::vector<Index<Thing>>{{"data", [](const ObjectKey&, const Thing& thing) {
                                     if (thing.data == "bad index") throw std::runtime_error("bad");
                                     return std::vector<std::string>{thing.data};
                                   }}});
    informer->add_handler([this](const Change<Thing>& change) {
      const std::lock_guard lock(mutex);
      changes.push_back(change.key.name + ":" +
                        (change.old_value ? change.old_value->data : std::string("-")) + ">" +
                        (change.new_value ? change.new_value->data : std::string("-")));
    });
  }
  ~Fixture() {
    stop = true;
    if (ticker.joinable()) ticker.join();
    informer->request_stop();
    informer->join();
  }
  std::shared_ptr<Pipe> pipe() {
    auto pipe = std::make_shared<Pipe>(clock);
    watches.push_back(pipe);
    return pipe;
  }
  /// Runs the informer; fake time passes quickly wherever it waits.
  void start() {
    informer->start();
    ticker = std::thread([this] {
      while (!stop) {
        if (run_clock) clock.advance(seconds(1));
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
  }
  bool eventually(const std::function<bool()>& condition) {
    for (int i = 0; i < 10'000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  bool has(const std::string& name, const std::string& data) {
    return eventually([&] {
      const auto thing = informer->get({"ns", name});
      return thing ? thing->data == data : data == "-";
    });
  }
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex);
    return asked;
  }
  std::vector<std::string> seen() {
    const std::lock_guard lock(mutex);
    return changes;
  }
};

using Requests = std::vector<std::string>;

TEST(Informer, ListsPagesAndFollowsTheWatch) {
  Fixture f;
  f.lists = {list_json("10", {object("a", 1), object("b", 2)}, "next"),
             list_json("10", {object("c", 3)})};
  const auto pipe = f.pipe();
  f.start();
  ASSERT_TRUE(f.informer->wait_for_sync(std::chrono::steady_clock::now() + seconds(20)));
  EXPECT_EQ(f.informer->size(), 3U);
  // Split anywhere, several at once.
  const auto lines = event_line("MODIFIED", object("a", 11, "changed")) +
                     event_line("DELETED", object("b", 12)) +
                     event_line("ADDED", object("d", 13, "new")) + bookmark_line("14");
  for (const char byte : lines) pipe->send(std::string(1, byte));
  EXPECT_TRUE(f.has("d", "new"));
  EXPECT_TRUE(f.has("a", "changed"));
  EXPECT_TRUE(f.has("b", "-"));
  EXPECT_EQ(f.informer->by_index("data", "new").size(), 1U);
  EXPECT_EQ(f.requests(),
            (Requests{"list rv=0 limit=500", "list rv= limit=500 next=next", "watch rv=10"}));
}

TEST(Informer, CleanCloseAndTornAndSilentWatchesGoOnWhereTheyWere) {
  Fixture f;
  f.lists = {list_json("10", {})};
  const auto closed = f.pipe();
  const auto truncated = f.pipe();
  const auto hole = f.pipe();
  const auto last = f.pipe();
  closed->send(event_line("ADDED", object("a", 11)));
  closed->close();
  truncated->send(event_line("ADDED", object("b", 12)) + R"({"type":"ADDED","obj)");
  truncated->close();
  hole->send(bookmark_line("20"));
  hole->black_hole();
  last->send(event_line("ADDED", object("c", 21)));
  f.start();
  EXPECT_TRUE(f.has("c", "x"));
  EXPECT_EQ(f.requests(), (Requests{"list rv=0 limit=500", "watch rv=10", "watch rv=11",
                                    "watch rv=12", "watch rv=20"}));
}

TEST(Informer, BlackHoledWatchIsGivenUpWithinOneIdleDeadline) {
  Fixture f;
  f.run_clock = false;  // time passes in the black hole only
  f.lists = {list_json("10", {})};
  const auto hole = f.pipe();
  const auto next = f.pipe();
  next->send(event_line("ADDED", object("a", 11)));
  const auto before = f.clock.now();
  hole->black_hole();
  f.start();
  EXPECT_TRUE(f.has("a", "x"));
  EXPECT_LE(f.clock.now() - before, seconds(90));
}

TEST(Informer, GoneInTheStreamOnOpenAndOnALaterPage) {
  Fixture f;
  f.lists = {
      list_json("10", {object("a", 1), object("gone", 2)}),
      // relist at the last seen version, which is gone too; then newest, whose page 3 is gone
      tl::unexpected(error_of(Error::Kind::Gone, 410)), list_json("30", {object("a", 1)}, "p2"),
      list_json("30", {object("b", 21)}, "p3"), tl::unexpected(error_of(Error::Kind::Gone, 410)),
      list_json("31", {object("a", 1), object("b", 21), object("c", 31)}),
      // after 410 on opening the next watch
      list_json("40", {object("a", 1)})};
  const auto first = f.pipe();
  first->send(bookmark_line("12") + error_line(410, "Expired"));
  const auto second = f.pipe();
  f.watches.push_back(tl::unexpected(error_of(Error::Kind::Gone, 410)));
  f.pipe();
  second->send(bookmark_line("35"));
  second->close();
  f.start();
  EXPECT_TRUE(f.eventually([&] { return f.requests().size() == 11; }));
  EXPECT_EQ(f.requests(), (Requests{"list rv=0 limit=500", "watch rv=10", "list rv=12 limit=0",
                                    "list rv= limit=500", "list rv= limit=500 next=p2",
                                    "list rv= limit=500 next=p3", "list rv= limit=0", "watch rv=31",
                                    "watch rv=35", "list rv=35 limit=0", "watch rv=40"}));
}

TEST(Informer, StreamingListSwapsAtTheBookmark) {
  Fixture f(true);
  const auto first = f.pipe();
  const auto second = f.pipe();
  first->send(event_line("ADDED", object("a", 5)) + event_line("ADDED", object("b", 3)) +
              bookmark_line("10", true) + event_line("MODIFIED", object("a", 11, "y")) +
              error_line(410, "Expired"));
  f.start();
  ASSERT_TRUE(f.informer->wait_for_sync(std::chrono::steady_clock::now() + seconds(20)));
  second->send(event_line("ADDED", object("c", 20)));
  EXPECT_TRUE(f.eventually([&] { return f.requests().size() == 2; }));
  EXPECT_TRUE(f.has("b", "x")) << "until the bookmark the former content stands";
  EXPECT_TRUE(f.has("c", "-"));
  second->send(bookmark_line("25", true));
  EXPECT_TRUE(f.has("c", "x"));
  EXPECT_TRUE(f.has("b", "-"));
  EXPECT_EQ(f.requests(), (Requests{"stream rv=0", "stream rv=11"}));
}

TEST(Informer, StreamingListFallsBackOnRefusalAndOnErrorInside) {
  Fixture refused(true);
  refused.watches.push_back(tl::unexpected(error_of(Error::Kind::Invalid, 422)));
  refused.lists = {list_json("10", {object("a", 1)})};
  refused.pipe();
  refused.start();
  EXPECT_TRUE(refused.has("a", "x"));

  Fixture inside(true);
  const auto broken = inside.pipe();
  broken->send(event_line("ADDED", object("phantom", 1)) + error_line(500, "InternalError"));
  inside.lists = {list_json("10", {object("a", 1)})};
  inside.pipe();
  inside.start();
  EXPECT_TRUE(inside.has("a", "x"));
  EXPECT_TRUE(inside.has("phantom", "-"));
}

TEST(Informer, StormOf429IsWaitedOut) {
  Fixture f;
  f.lists = {tl::unexpected(error_of(Error::Kind::Retry, 429)),
             tl::unexpected(error_of(Error::Kind::Retry, 429)), list_json("10", {})};
  for (int i = 0; i < 3; ++i) {
    f.watches.push_back(tl::unexpected(error_of(Error::Kind::Retry, 429)));
  }
  const auto pipe = f.pipe();
  pipe->send(event_line("ADDED", object("a", 11)));
  const auto before = f.clock.now();
  f.start();
  EXPECT_TRUE(f.has("a", "x"));
  // 0.8 · (1 + 2 + 4 + 8 + 16) s, each half again as long by the fixed jitter.
  EXPECT_GE(f.clock.now() - before, seconds(37));
  EXPECT_EQ(f.requests().size(), 7U);
}

TEST(Informer, CrdDeletedWhileWatchedAndMadeAgain) {
  Fixture f;
  f.lists = {list_json("10", {object("a", 1)}),
             tl::unexpected(error_of(Error::Kind::NotFound, 404)),
             list_json("50", {object("b", 49)})};
  const auto pipe = f.pipe();
  f.watches.push_back(tl::unexpected(error_of(Error::Kind::NotFound, 404)));
  f.pipe();
  pipe->send(event_line("DELETED", object("a", 20)));
  pipe->close();
  f.start();
  EXPECT_TRUE(f.has("b", "x"));
  EXPECT_TRUE(f.has("a", "-"));
  EXPECT_TRUE(f.informer->has_synced());
}

TEST(Informer, PoisonedObjectsLinesAndIndexesDoNotStopTheRest) {
  Fixture f;
  f.lists = {list_json(
      "10", {object("a", 1, "poison"), object("i", 2, "bad index"), object("b", 3, "good")})};
  const auto pipe = f.pipe();
  const auto next = f.pipe();
  pipe->send(event_line("ADDED", object("c", 11, "poison")) +
             event_line("ADDED", object("d", 12, "bad index")) +
             event_line("ADDED", object("e", 13, "good")) + "this is not JSON\n");
  next->send(event_line("ADDED", object("g", 14, std::string(5000, 'l'))));  // too long a line
  f.pipe()->send(event_line("ADDED", object("f", 15, "good")));
  f.start();
  EXPECT_TRUE(f.has("f", "good"));
  EXPECT_TRUE(f.has("e", "good"));
  EXPECT_TRUE(f.has("b", "good"));
  EXPECT_EQ(f.requests()[2], "watch rv=13");
  EXPECT_NE(f.metrics.text().find("gobuildenv_informer_decode_errors_total{resource=\"things\"} 4"),
            std::string::npos);
}

TEST(Informer, HourOfResyncsAndBookmarksWritesNothing) {
  Fixture f;
  f.lists = {list_json("10", {object("a", 1), object("b", 2)})};
  const auto pipe = f.pipe();
  f.run_clock = false;
  f.start();
  ASSERT_TRUE(f.informer->wait_for_sync(std::chrono::steady_clock::now() + seconds(20)));
  for (int hour = 0; hour < 11; ++hour) {
    ASSERT_TRUE(f.eventually([&] { return pipe->drained(); }));
    f.clock.advance(std::chrono::hours(1));
    EXPECT_EQ(f.informer->last_event_age(), std::chrono::hours(1));
    EXPECT_NE(f.metrics.text().find(
                  "gobuildenv_informer_last_event_age_seconds{resource=\"things\"} 3600\n"),
              std::string::npos);
    pipe->send(bookmark_line(std::to_string(100 + hour)));
    EXPECT_TRUE(f.eventually([&] { return f.informer->last_event_age() == seconds(0); }));
  }
  // The resync is due after 10 h here (random is 0.5) and dispatched with equal old and new value.
  EXPECT_TRUE(f.eventually([&] { return f.seen().size() == 4; }));
  const auto seen = f.seen();
  EXPECT_EQ(std::multiset<std::string>(seen.begin(), seen.end()),
            (std::multiset<std::string>{"a:->x", "b:->x", "a:x>x", "b:x>x"}));
  EXPECT_EQ(f.client.writes, 0);
}

TEST(Informer, ResyncsAreSpreadOverATenthToEitherSide) {
  struct {
    double random;
    std::chrono::minutes before, due;
  } const cases[] = {{0.0, std::chrono::minutes(539), std::chrono::minutes(540)},
                     {0.999, std::chrono::minutes(659), std::chrono::minutes(660)}};
  for (const auto& tested : cases) {
    Fixture f;
    f.lists = {list_json("10", {object("a", 1)})};
    const auto pipe = f.pipe();
    f.run_clock = false;
    f.random = tested.random;
    f.start();
    ASSERT_TRUE(f.informer->wait_for_sync(std::chrono::steady_clock::now() + seconds(20)));
    ASSERT_TRUE(f.eventually([&] { return pipe->drained(); }));
    f.clock.advance(tested.before);
    // Looked at after each line.
    pipe->send(bookmark_line("11"));
    ASSERT_TRUE(f.eventually([&] { return pipe->drained(); }));
    EXPECT_EQ(f.seen(), (std::vector<std::string>{"a:->x"})) << tested.random;
    f.clock.advance(tested.due - tested.before);
    pipe->send(bookmark_line("12"));
    ASSERT_TRUE(f.eventually([&] { return pipe->drained(); }));
    EXPECT_EQ(f.seen(), (std::vector<std::string>{"a:->x", "a:x>x"})) << tested.random;
  }
}

TEST(Informer, StopsAtOnceWhileTheWatchIsSilent) {
  Fixture f;
  f.lists = {list_json("10", {})};
  f.pipe();
  f.start();
  ASSERT_TRUE(f.informer->wait_for_sync(std::chrono::steady_clock::now() + seconds(20)));
  f.informer->request_stop();
  f.informer->join();
  SUCCEED() << "join() returned";
}

TEST(Informer, AsksForTheNextPageWhileItReadsThis) {
  Fixture f;
  std::promise<void> asked;
  const std::string first = list_json("10", {object("a", 5)}, "p2");
  const auto page = [&](const ListOptions& options) -> tl::expected<ListPage, Error> {
    if (options.continue_token.empty()) return ListPage{first};
    EXPECT_GE(options.expected_bytes, first.size()) << "pages are about as large as one another";
    asked.set_value();
    return ListPage{list_json("10", {object("b", 6)})};
  };
  f.client.on_list = page;
  bool in_time = false;
  InformerOptions options;
  options.type = {"", "v1", "things", "Thing", true};
  options.watch.streaming_list = false;
  Informer<Thing> informer(InformerRuntime{f.client, f.clock, [] { return 0.5; }, nullptr}, options,
                           [&](std::string_view json) {
                             auto thing = decode_thing(json);
                             if (thing && thing->meta.key.name == "a") {
                               in_time = asked.get_future().wait_for(seconds(20)) ==
                                         std::future_status::ready;
                             }
                             return thing;
                           });
  informer.start();
  EXPECT_TRUE(informer.wait_for_sync(std::chrono::steady_clock::now() + seconds(30)));
  informer.request_stop();
  informer.join();
  EXPECT_TRUE(in_time) << "page 2 was asked for only after page 1 was decoded";
  EXPECT_EQ(informer.size(), 2u);
}

TEST(InformerWatchedList, ShowsBetweenPagesWhatHappensMeanwhile) {
  Fixture f(Fixture::Listing::Watched);
  f.lists = {list_json("10", {object("a", 5)}, "p2"),
             list_json("10", {object("gone", 7), object("m", 6)}, "p3"),
             list_json("10", {object("z", 4)})};
  const auto pipe = f.pipe();
  pipe->send(event_line("ADDED", object("new", 11)));
  pipe->send(event_line("DELETED", object("gone", 12)) +
             event_line("MODIFIED", object("z", 13, "z13")) + bookmark_line("13"));
  f.start();
  ASSERT_TRUE(f.informer->wait_for_sync(std::chrono::steady_clock::now() + seconds(20)));
  pipe->send(event_line("MODIFIED", object("new", 14, "new14")));
  ASSERT_TRUE(f.has("new", "new14"));
  // The cache shows a change before handlers hear of it.
  ASSERT_TRUE(f.eventually([&] { return f.seen().size() >= 5; }));
  EXPECT_EQ(f.informer->size(), 4u);
  EXPECT_FALSE(f.informer->get({"ns", "gone"})) << "a later page has shown it still there";
  EXPECT_TRUE(f.has("z", "z13")) << "a later page has shown it older";
  const std::lock_guard lock(f.mutex);
  EXPECT_EQ(f.changes,
            (std::vector<std::string>{"a:->x", "new:->x", "z:->z13", "m:->x", "new:x>new14"}));
  EXPECT_EQ(f.asked,
            (std::vector<std::string>{"list rv= limit=500", "watch rv=10",
                                      "list rv= limit=500 next=p2", "list rv= limit=500 next=p3"}))
      << "and goes on with that watch";
}

TEST(InformerWatchedList, DoesWithoutAWatchThatFails) {
  for (const char* how : {"refused", "torn", "closed", "expired", "garbage"}) {
    Fixture f(Fixture::Listing::Watched);
    f.lists = {list_json("10", {object("a", 5)}, "p2"), list_json("10", {object("b", 6)})};
    if (how == std::string_view("refused")) {
      f.watches.emplace_back(tl::unexpected(error_of(Error::Kind::Retry, 500)));
    } else {
      const auto pipe = f.pipe();
      if (how == std::string_view("torn")) pipe->tear();
      if (how == std::string_view("closed")) pipe->close();
      if (how == std::string_view("expired")) pipe->send(error_line(410, "Expired"));
      if (how == std::string_view("garbage")) pipe->send("{\n");
    }
    const auto next = f.pipe();
    next->send(event_line("ADDED", object("c", 11)));
    f.start();
    ASSERT_TRUE(f.eventually([&] { return f.informer->size() == 3; })) << how;
    const std::lock_guard lock(f.mutex);
    EXPECT_EQ(f.asked, (std::vector<std::string>{"list rv= limit=500", "watch rv=10",
                                                 "list rv= limit=500 next=p2", "watch rv=10"}))
        << how;
  }
}

}  // namespace
}  // namespace gobuildenv::kube
