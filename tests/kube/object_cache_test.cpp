#include "kube/object_cache.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <stdexcept>

#include "kube/object_meta.hpp"
#include "tests/kube/fake_client.hpp"

namespace gobuildenv::kube {
namespace {

using testing::object_json;

/// The decoder of these tests: the whole JSON text is the value; "poison" cannot be decoded.
tl::expected<StoredItem, std::string> decode_text(std::string_view json) {
  if (json.find("\"data\":\"poison\"") != std::string_view::npos) {
    throw std::runtime_error("poisoned");
  }
  auto identity = decode_identity(json);
  if (!identity) return tl::unexpected(identity.error());
  return StoredItem{identity->meta, std::make_shared<const std::string>(json)};
}

std::string text_of(const AnyValue& value) {
  if (!value) return "-";
  const auto& json = *static_cast<const std::string*>(value.get());
  const auto begin = json.find("\"data\":\"") + 8;
  return json.substr(begin, json.find('"', begin) - begin);
}

const char* name_of(Origin origin) {
  switch (origin) {
    case Origin::InitialList:
      return "initial";
    case Origin::Relist:
      return "relist";
    case Origin::Watch:
      return "watch";
    case Origin::OwnWrite:
      return "own";
    case Origin::Resync:
      return "resync";
  }
  return "?";
}

struct Fixture {
  FakeClock clock;
  ObjectCache cache{
      "things",
      clock,
      decode_text,
      {{"data",
        [](const ObjectKey&, const void* value, const std::function<void(std::string_view)>& emit) {
          emit(text_of(AnyValue(AnyValue(), value)));
        }}},
      {}};
  std::vector<std::string> changes;

  Fixture() {
    cache.add_handler([this](const AnyChange& change) {
      changes.push_back(change.key.name + ":" + text_of(change.old_value) + ">" +
                        text_of(change.new_value) + "@" + name_of(change.origin));
    });
  }
  void list(const std::string& version, const std::vector<std::string>& items) {
    cache.begin_replace();
    for (const auto& item : items) cache.stage(item);
    cache.commit_replace(version);
  }
  void event(const std::string& json, const std::string& version) {
    cache.upsert(json);
    cache.advance(version);
  }
  std::vector<std::string> taken() { return std::exchange(changes, {}); }
  std::string data(const std::string& name) { return text_of(cache.store().get({"ns", name})); }
  std::size_t indexed(const std::string& value) {
    return cache.store().by_index("data", value).size();
  }
};

using Changes = std::vector<std::string>;

std::string object(const std::string& name, const std::string& uid, const std::string& version,
                   const std::string& data) {
  return object_json("ns", name, uid, version, data);
}

TEST(ObjectCache, RelistSynthesisesWhatTheWatchMissed) {
  Fixture f;
  f.list("10", {object("gone", "u1", "1", "g"), object("same", "u2", "2", "s"),
                object("changed", "u3", "3", "old"), object("again", "u4", "4", "first")});
  f.taken();
  f.list("20", {object("same", "u2", "2", "s"), object("changed", "u3", "15", "new"),
                object("again", "u5", "16", "second"), object("added", "u6", "17", "a")});
  EXPECT_EQ(f.taken(), (Changes{"gone:g>-@relist", "changed:old>new@relist", "again:first>-@relist",
                                "again:->second@relist", "added:->a@relist"}));
  EXPECT_EQ(f.cache.store().size(), 4U);
  EXPECT_EQ(f.indexed("old"), 0U);
  EXPECT_EQ(f.indexed("new"), 1U);
}

TEST(ObjectCache, TellsOfAPageAfterReadingIt) {
  Fixture f;
  std::vector<std::size_t> sizes;
  f.cache.add_handler([&](const AnyChange&) { sizes.push_back(f.cache.store().size()); });
  std::vector<std::string> texts;
  for (int i = 0; i < 300; ++i) {
    texts.push_back(object("o" + std::to_string(i), "u" + std::to_string(i), "5", "x"));
  }
  f.cache.begin_replace();
  f.cache.stage(std::vector<std::string_view>(texts.begin(), texts.end()));
  EXPECT_EQ(f.taken().size(), 300U) << "each once, before the list is complete";
  ASSERT_EQ(sizes.size(), 300U);
  EXPECT_GT(sizes.front(), 100U) << "one by one";
  EXPECT_LT(sizes.front(), 300U) << "a write of ours may have to wait so long";
  f.cache.commit_replace("10");
  EXPECT_TRUE(f.taken().empty());
}

TEST(ObjectCache, UnfinishedRelistChangesNothing) {
  Fixture f;
  f.list("10", {object("a", "u1", "1", "a")});
  f.cache.begin_replace();
  f.cache.stage(object("b", "u2", "12", "b"));
  EXPECT_EQ(f.cache.store().size(), 1U) << "visible at the end only, all at once";
  f.taken();
  f.list("20", {object("a", "u1", "1", "a")});
  EXPECT_EQ(f.taken(), Changes{});
}

TEST(ObjectCache, UnfinishedInitialListLeavesNothingBehind) {
  Fixture f;
  f.cache.begin_replace();
  f.cache.stage(object("a", "u1", "1", "a"));
  EXPECT_FALSE(f.cache.has_synced());
  f.list("20", {object("b", "u2", "2", "b")});
  EXPECT_TRUE(f.cache.has_synced());
  EXPECT_EQ(f.taken(), (Changes{"a:->a@initial", "b:->b@initial", "a:a>-@initial"}));
}

TEST(ObjectCache, DeleteAndRecreateUnderOneNameGivesBoth) {
  Fixture f;
  f.list("10", {object("a", "u1", "1", "first")});
  f.taken();
  f.event(object("a", "u2", "12", "second"), "12");
  EXPECT_EQ(f.taken(), (Changes{"a:first>-@watch", "a:->second@watch"}));
  f.cache.remove(object("a", "u2", "13", "second"));
  f.event(object("a", "u3", "14", "third"), "14");
  EXPECT_EQ(f.taken(), (Changes{"a:second>-@watch", "a:->third@watch"}));
}

TEST(ObjectCache, OwnWriteIsVisibleAtOnceAndItsEventChangesNothing) {
  Fixture f;
  f.list("10", {object("a", "u1", "1", "old")});
  f.taken();
  f.cache.observe_write(object("a", "u1", "12", "mine"));
  EXPECT_EQ(f.data("a"), "mine");
  EXPECT_TRUE(f.cache.caught_up({"ns", "a"}));
  EXPECT_EQ(f.taken(), Changes{"a:old>mine@own"});
  f.event(object("a", "u1", "11", "theirs, before mine"), "11");
  EXPECT_EQ(f.data("a"), "mine");
  f.event(object("a", "u1", "12", "mine"), "12");
  EXPECT_EQ(f.taken(), Changes{});
  f.event(object("a", "u1", "13", "theirs"), "13");
  EXPECT_EQ(f.taken(), Changes{"a:mine>theirs@watch"});
}

TEST(ObjectCache, LateAnswerNeverOverwritesANewerWatchEvent) {
  Fixture f;
  f.list("10", {object("a", "u1", "1", "old")});
  f.event(object("a", "u1", "14", "newer"), "14");
  f.cache.remove(object("b", "u2", "15", "deleted"));
  f.cache.advance("15");
  f.taken();
  f.cache.observe_write(object("a", "u1", "12", "late"));
  f.cache.observe_write(object("b", "u2", "13", "created, then deleted by others"));
  EXPECT_EQ(f.data("a"), "newer");
  EXPECT_EQ(f.data("b"), "-") << "a late answer does not bring a deleted object back";
  EXPECT_EQ(f.taken(), Changes{});
}

TEST(ObjectCache, OwnWriteIsVisibleWhileTheFirstListIsStillComing) {
  Fixture f;
  f.cache.begin_replace();
  f.cache.stage(object("a", "u1", "1", "old"));
  f.cache.observe_write(object("a", "u1", "12", "mine"));
  f.cache.observe_write(object("made", "u2", "13", "mine"));
  f.cache.observe_write(object("before", "u3", "5", "made before the list, deleted since"));
  f.cache.remove(object("gone", "u4", "14", "gone"));
  f.cache.observe_write(object("gone", "u4", "11", "a late answer"));
  f.cache.stage(object("gone", "u4", "2", "of a page that is older"));
  EXPECT_EQ(f.data("a"), "mine");
  EXPECT_EQ(f.data("gone"), "-");
  f.cache.commit_replace("10");
  EXPECT_EQ(f.data("a"), "mine");
  EXPECT_EQ(f.data("made"), "mine") << "newer than the list";
  EXPECT_EQ(f.data("before"), "-") << "older, and not in it";
  EXPECT_EQ(f.data("gone"), "-");
  f.cache.observe_write(object("gone", "u4", "11", "a later answer still"));
  EXPECT_EQ(f.data("gone"), "-");
  f.cache.observe_write(object("made", "u5", "15", "made again"));
  EXPECT_EQ(f.data("made"), "made again");
}

// A list that is streamed goes on with events until the server closes it with a bookmark.
TEST(ObjectCache, WhatIsDeletedWhileAListIsStreamedDoesNotComeBack) {
  for (const bool first : {true, false}) {
    SCOPED_TRACE(first);
    Fixture f;
    if (!first) f.list("10", {object("a", "u1", "1", "old"), object("again", "u5", "5", "old")});
    f.taken();
    f.cache.begin_replace();
    f.cache.stage(object("a", "u1", "12", "a"));
    f.cache.stage(object("b", "u2", "12", "b"));
    f.cache.stage(object("again", "u5", "12", "former"));
    f.cache.remove(object("a", "u1", "13", "a"));
    f.cache.remove(object("b", "u2", "13", "b"));
    f.cache.remove(object("again", "u5", "13", "former"));
    f.cache.stage(object("again", "u6", "14", "next"));
    f.cache.remove(object("again", "u5", "13", "the former once more"));
    f.cache.commit_replace("14");
    EXPECT_EQ(f.data("a"), "-");
    EXPECT_EQ(f.data("b"), "-");
    EXPECT_EQ(f.data("again"), "next");
    EXPECT_EQ(f.cache.store().size(), 1u);
  }
}

// Under a label selector, DELETED says no more than that it is not selected now.
TEST(ObjectCache, WhatLeavesASelectorWhileAListIsStreamedMayComeBack) {
  for (const bool first : {true, false}) {
    SCOPED_TRACE(first);
    Fixture f;
    if (!first) f.list("4", {object("a", "u1", "3", "old")});
    f.cache.begin_replace();
    f.cache.stage(object("a", "u1", "5", "labelled"));
    f.cache.remove(object("a", "u1", "11", "without the label"));
    f.cache.stage(object("a", "u1", "5", "of an older page"));
    f.cache.remove(object("a", "u1", "11", "without the label"));
    f.cache.stage(object("a", "u1", "12", "labelled again"));
    f.cache.commit_replace("13");
    EXPECT_EQ(f.data("a"), "labelled again");
  }
}

TEST(ObjectCache, OwnWriteSurvivesAnOlderRelistAndNotANewerOne) {
  Fixture f;
  f.list("10", {object("a", "u1", "1", "old")});
  f.cache.observe_write(object("a", "u1", "30", "mine"));
  f.cache.observe_write(object("made", "u2", "31", "mine"));
  f.taken();
  f.list("20", {object("a", "u1", "15", "older")});
  EXPECT_EQ(f.data("a"), "mine");
  EXPECT_EQ(f.data("made"), "mine");
  EXPECT_EQ(f.taken(), Changes{});
  f.list("40", {object("a", "u1", "35", "newer")});
  EXPECT_EQ(f.data("a"), "newer");
  EXPECT_EQ(f.data("made"), "-");
}

TEST(ObjectCache, DeletionOfTheFormerObjectDoesNotHitTheOneWeMade) {
  Fixture f;
  f.list("10", {object("a", "u1", "1", "first")});
  f.cache.observe_write(object("a", "u2", "13", "second"));
  EXPECT_EQ(f.taken(), (Changes{"a:->first@initial", "a:first>-@own", "a:->second@own"}));
  f.cache.remove(object("a", "u1", "12", "first"));
  EXPECT_EQ(f.data("a"), "second");
  EXPECT_EQ(f.taken(), Changes{});
}

TEST(ObjectCache, ServerThatWentBackInTimeIsBelieved) {
  Fixture f;
  f.list("100", {object("a", "u1", "90", "a"), object("b", "u2", "91", "b")});
  f.cache.observe_write(object("c", "u3", "101", "c"));
  f.taken();
  f.list("50", {object("a", "u1", "40", "restored")});
  EXPECT_EQ(f.data("a"), "restored");
  EXPECT_EQ(f.cache.store().size(), 1U);
}

TEST(ObjectCache, OpaqueVersionsHoldTheKeyUntilTheWatchShowsTheWrite) {
  Fixture f;
  const ObjectKey key{"ns", "a"};
  f.list("v-one", {object("a", "u1", "v-a", "old")});
  f.cache.observe_write(object("a", "u1", "v-b", "mine"));
  EXPECT_EQ(f.data("a"), "old");
  EXPECT_FALSE(f.cache.caught_up(key));
  EXPECT_TRUE(f.cache.caught_up({"ns", "other"}));
  f.event(object("a", "u1", "v-x", "theirs"), "v-x");
  EXPECT_FALSE(f.cache.caught_up(key));
  f.event(object("a", "u1", "v-b", "mine"), "v-b");
  EXPECT_TRUE(f.cache.caught_up(key));
  f.cache.observe_write(object("a", "u1", "v-lost", "mine"));
  EXPECT_FALSE(f.cache.caught_up(key));
  f.clock.advance(std::chrono::seconds(30));
  EXPECT_TRUE(f.cache.caught_up(key)) << "never held for ever";
}

TEST(ObjectCache, OwnDeletionHoldsTheKeyUntilTheWatchShowsIt) {
  Fixture f;
  const ObjectKey key{"ns", "a"};
  f.list("10", {object("a", "u1", "1", "a")});
  f.cache.observe_delete(key, "u1");
  EXPECT_FALSE(f.cache.caught_up(key));
  f.cache.remove(object("a", "u1", "12", "a"));
  EXPECT_TRUE(f.cache.caught_up(key));
  f.cache.observe_delete(key, "u1");
  EXPECT_TRUE(f.cache.caught_up(key)) << "the watch was faster";
}

TEST(ObjectCache, PoisonedObjectIsSkippedAndItsSiblingsAreNot) {
  Fixture f;
  f.list("10", {object("a", "u1", "1", "poison"), "{\"metadata\":{}}", "nonsense",
                object("b", "u2", "2", "b")});
  EXPECT_EQ(f.taken(), Changes{"b:->b@initial"});
  f.event(object("b", "u2", "11", "poison"), "11");
  EXPECT_EQ(f.data("b"), "b") << "the last good state";
  f.list("20", {object("b", "u2", "11", "poison")});
  EXPECT_EQ(f.data("b"), "b") << "not decodable is not deleted";
  f.event(object("b", "u2", "21", "cured"), "21");
  EXPECT_EQ(f.taken(), Changes{"b:b>cured@watch"});
}

TEST(ObjectCache, ThrowingHandlerDoesNotStopTheOthers) {
  FakeClock clock;
  ObjectCache cache("things", clock, decode_text, {}, {});
  int called = 0;
  cache.add_handler([](const AnyChange&) { throw std::runtime_error("handler"); });
  cache.add_handler([&](const AnyChange&) { ++called; });
  cache.begin_replace();
  cache.stage(object("a", "u1", "1", "a"));
  cache.commit_replace("1");
  EXPECT_EQ(called, 1);
}

TEST(ObjectCache, LateHandlerSeesWhatIsThere) {
  Fixture f;
  f.list("10", {object("a", "u1", "1", "a")});
  Changes seen;
  f.cache.add_handler([&](const AnyChange& change) {
    seen.push_back(change.key.name + "@" + name_of(change.origin));
  });
  EXPECT_EQ(seen, Changes{"a@initial"});
  f.cache.resync();
  EXPECT_EQ(seen, (Changes{"a@initial", "a@resync"}));
}

TEST(ObjectCache, AChangeTellsWhoseItIs) {
  Fixture f;
  Changes uids;
  f.cache.add_handler([&](const AnyChange& change) {
    uids.push_back((change.new_value ? "+" : "-") + std::string(change.uid));
  });
  f.list("10", {object("a", "u1", "1", "a"), object("b", "u2", "2", "b")});
  f.event(object("a", "u3", "11", "a"), "11");
  f.cache.remove(object("a", "u3", "12", "a"));
  f.list("20", {});
  EXPECT_EQ(uids, (Changes{"+u1", "+u2", "-u1", "+u3", "-u3", "-u2"}));
  f.cache.observe_write(object("c", "u4", "21", "c"));
  f.cache.resync();
  EXPECT_EQ(uids.back(), "+u4");
}

TEST(ObjectCache, OnlyTheInitialListAndResyncsAreUnhurried) {
  EXPECT_EQ(priority_of(Origin::InitialList), Priority::Low);
  EXPECT_EQ(priority_of(Origin::Resync), Priority::Low);
  EXPECT_EQ(priority_of(Origin::Relist), Priority::Normal);
  EXPECT_EQ(priority_of(Origin::Watch), Priority::Normal);
  EXPECT_EQ(priority_of(Origin::OwnWrite), Priority::Normal);
}

/// A server's history: every version in order. What the cache is told of it comes late, in pieces,
/// with relists and answers in between; in the end it must hold what the server holds, and the
/// handlers' view must be the store's.
RC_GTEST_PROP(ObjectCache, AgreesWithTheServerAndWithItsHandlers, ()) {
  struct Event {
    bool removed;
    std::string json;
  };
  struct Live {
    std::string uid;
    int version;
    std::string data;
  };
  FakeClock clock;
  ObjectCache cache("things", clock, decode_text, {}, {});
  std::map<std::string, std::string> view;
  bool consistent = true;
  cache.add_handler([&](const AnyChange& change) {
    const auto found = view.find(change.key.name);
    const auto before = found == view.end() ? "-" : found->second;
    consistent = consistent && before == text_of(change.old_value);
    if (change.new_value) {
      view[change.key.name] = text_of(change.new_value);
    } else {
      view.erase(change.key.name);
    }
  });

  std::map<std::string, Live> live;
  std::vector<Event> history;  // of versions 1, 2, …
  std::size_t shown = 0;
  std::vector<std::string> answers;
  const auto relist = [&] {
    cache.begin_replace();
    for (const auto& [name, entry] : live) {
      cache.stage(object(name, entry.uid, std::to_string(entry.version), entry.data));
    }
    shown = history.size();
    cache.commit_replace(std::to_string(shown + 1000));
  };
  relist();
  const auto steps = *rc::gen::inRange(1, 80);
  for (int i = 0; i < steps; ++i) {
    const auto name = std::string(1, *rc::gen::inRange('a', 'd'));
    const auto version = static_cast<int>(history.size()) + 1001;
    switch (*rc::gen::inRange(0, 6)) {
      case 0:
      case 1: {  // somebody writes; perhaps we do, and the answer is on its way
        auto& entry = live[name];
        if (entry.uid.empty()) entry.uid = "uid-" + std::to_string(version);
        entry.version = version;
        entry.data = "d" + std::to_string(version);
        const auto json = object(name, entry.uid, std::to_string(version), entry.data);
        history.push_back({false, json});
        if (*rc::gen::arbitrary<bool>()) answers.push_back(json);
        break;
      }
      case 2:  // somebody deletes
        if (const auto found = live.find(name); found != live.end()) {
          history.push_back(
              {true, object(name, found->second.uid, std::to_string(version), "deleted")});
          live.erase(found);
        }
        break;
      case 3:  // the watch shows one more
        if (shown < history.size()) {
          const auto& event = history[shown++];
          event.removed ? cache.remove(event.json) : cache.upsert(event.json);
          cache.advance(std::to_string(shown + 1000));
        }
        break;
      case 4:  // an answer arrives, in any order
        if (!answers.empty()) {
          const auto at = *rc::gen::inRange<std::size_t>(0, answers.size());
          cache.observe_write(answers[at]);
          answers.erase(answers.begin() + static_cast<std::ptrdiff_t>(at));
        }
        break;
      default:
        if (*rc::gen::inRange(0, 4) == 0) relist();
        break;
    }
    RC_ASSERT(consistent);
    RC_ASSERT(view.size() == cache.store().size());
  }
  while (shown < history.size()) {
    const auto& event = history[shown++];
    event.removed ? cache.remove(event.json) : cache.upsert(event.json);
    cache.advance(std::to_string(shown + 1000));
  }
  for (const auto& answer : answers) cache.observe_write(answer);
  std::map<std::string, std::string> expected;
  for (const auto& [name, entry] : live) expected[name] = entry.data;
  RC_ASSERT(view == expected);
  RC_ASSERT(consistent);
}

}  // namespace
}  // namespace gobuildenv::kube
