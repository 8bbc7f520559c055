#include "kube/watch_decoder.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/kube/fake_client.hpp"

namespace gobuildenv::kube {
namespace {

using testing::error_line;
using testing::event_line;
using testing::object_json;

/// Feeds `pieces` one after another; gives all lines.
std::vector<std::string> split(const std::vector<std::string>& pieces, std::size_t max_line,
                               bool* too_long = nullptr, bool* partial = nullptr) {
  LineSplitter lines(max_line);
  std::vector<std::string> out;
  const auto drain = [&] {
    std::string_view line;
    while (true) {
      const auto next = lines.next(line);
      if (next == LineSplitter::Next::Line) {
        out.emplace_back(line);
        continue;
      }
      return next != LineSplitter::Next::TooLong;
    }
  };
  for (const auto& piece : pieces) {
    std::size_t given = 0;
    while (given < piece.size()) {
      const auto space = lines.space();
      const auto count = std::min(space.size, piece.size() - given);
      std::memcpy(space.data, piece.data() + given, count);
      lines.filled(count);
      given += count;
      if (!drain()) {
        if (too_long != nullptr) *too_long = true;
        return out;
      }
    }
  }
  if (partial != nullptr) *partial = lines.partial();
  return out;
}

TEST(LineSplitter, CutsWhereverTheNetworkDoes) {
  bool partial = false;
  EXPECT_EQ(split({"{\"a\"", ":1}\n{\"b", "\":2}\r\n\n", "tail"}, 100, nullptr, &partial),
            (std::vector<std::string>{"{\"a\":1}", "{\"b\":2}"}));
  EXPECT_TRUE(partial);
}

TEST(LineSplitter, RefusesAnEndlessLine) {
  bool too_long = false;
  const auto lines = split({"ok\n", std::string(200'000, 'x')}, 100'000, &too_long);
  EXPECT_EQ(lines, std::vector<std::string>{"ok"});
  EXPECT_TRUE(too_long);
}

RC_GTEST_PROP(LineSplitter, GivesTheSameLinesForAnyCut, ()) {
  const auto lines = *rc::gen::container<std::vector<std::string>>(
      rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::inRange('a', 'f'))));
  std::string all;
  for (const auto& line : lines) all += line + "\n";
  std::vector<std::string> pieces;
  while (!all.empty()) {
    const auto size = *rc::gen::inRange<std::size_t>(1, all.size() + 1);
    pieces.push_back(all.substr(0, size));
    all.erase(0, size);
  }
  bool partial = true;
  RC_ASSERT(split(pieces, 1000, nullptr, &partial) == lines);
  RC_ASSERT(!partial || pieces.empty());
}

TEST(WatchLine, GivesTypeAndTheObjectsOwnText) {
  const auto object = object_json("ns", "a", "u1", "5", "brace } and \\\" quote");
  const std::string line = R"( {"object" : )" + object + R"(  , "type":"MODIFIED"} )";
  const auto event = decode_watch_line(line);
  ASSERT_TRUE(event) << event.error();
  EXPECT_EQ(event->type, WatchEvent::Type::Modified);
  EXPECT_EQ(event->object, object);
}

TEST(WatchLine, ErrorEventIsClassified) {
  const auto line = error_line(410, "Expired");
  const auto event = decode_watch_line(line);
  ASSERT_TRUE(event) << event.error();
  EXPECT_EQ(event->type, WatchEvent::Type::Error);
  EXPECT_EQ(event->error.kind, Error::Kind::Gone);
  EXPECT_EQ(decode_watch_line(error_line(500, "InternalError"))->error.kind, Error::Kind::Retry);
}

TEST(WatchLine, EveryTruncationIsAnError) {
  auto line = event_line("ADDED", object_json("ns", "a", "u1", "5"));
  line.pop_back();
  ASSERT_TRUE(decode_watch_line(line));
  for (std::size_t size = 0; size < line.size(); ++size) {
    EXPECT_FALSE(decode_watch_line(line.substr(0, size))) << size;
  }
}

TEST(WatchLine, RefusesWhatIsNoEvent) {
  for (const char* line :
       {"[]", "1", "null", "{}", R"({"type":"ADDED"})", R"({"type":"ADDED","object":[]})",
        R"({"type":1,"object":{}})", R"({"type":"EXPLODED","object":{}})",
        R"({"type":"ADDED","object":{}} {})", "\xff\xfe",
        R"({"type":"ADDED","object":{}})"
        "\x01"}) {
    EXPECT_FALSE(decode_watch_line(line)) << line;
  }
}

}  // namespace
}  // namespace gobuildenv::kube
