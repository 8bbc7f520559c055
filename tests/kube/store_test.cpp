#include "kube/store.hpp"

#include <gtest/gtest.h>
#include <malloc.h>
#include <rapidcheck/gtest.h>

#include <atomic>
#include <map>
#include <thread>

namespace gobuildenv::kube {
namespace {

ObjectMeta meta(const std::string& ns, const std::string& name, const std::string& version = "1",
                const std::string& uid = "0b7c8a1e-9f52-4c6d-8a3b-1d2e3f405162") {
  return {{ns, name}, uid, version};
}

AnyValue value(const std::string& text) { return std::make_shared<const std::string>(text); }

NamedIndex first_letter() {
  return {"letter", [](const ObjectKey&, const void* data,
                       const std::function<void(std::string_view)>& emit) {
            emit(std::string_view(*static_cast<const std::string*>(data)).substr(0, 1));
          }};
}

TEST(Store, KeepsIdentityInEveryForm) {
  Store store({});
  struct Case {
    const char* uid;
    const char* version;
  };
  for (const auto& [uid, version] :
       {Case{"0b7c8a1e-9f52-4c6d-8a3b-1d2e3f405162", "184467"}, Case{"not-a-uuid", "opaque/7"},
        Case{"0B7C8A1E-9F52-4C6D-8A3B-1D2E3F405162", "007"}, Case{"", ""},
        Case{"0b7c8a1e-9f52-4c6d-8a3b-1d2e3f40516g", "99999999999999999999"}}) {
    store.put(meta("ns", "a", version, uid), value("x"), false);
    const auto item = store.find({"ns", "a"});
    ASSERT_TRUE(item);
    EXPECT_EQ(item->meta.uid, uid);
    EXPECT_EQ(item->meta.resource_version, version);
    EXPECT_EQ(item->meta.key, (ObjectKey{"ns", "a"}));
    const auto peek = store.peek(meta("ns", "a", version, uid));
    EXPECT_TRUE(peek.same_uid) << uid;
    EXPECT_EQ(peek.same_version, *version != '\0') << version;
    EXPECT_FALSE(store.peek(meta("ns", "a", version, "other")).same_uid);
  }
}

TEST(Store, OnlyNumbersAreComparedByOrder) {
  const auto parse = ResourceVersion::parse;
  EXPECT_TRUE(parse("10").newer_than(parse("9")));
  EXPECT_FALSE(parse("9").newer_than(parse("10")));
  EXPECT_FALSE(parse("b").newer_than(parse("a")));
  EXPECT_FALSE(parse("10").newer_than(parse("a")));
  EXPECT_FALSE(parse("10").newer_than(parse("")));
  EXPECT_TRUE(parse("a").at_least(parse("a")));
}

TEST(Store, IndexesFollowChanges) {
  Store store({first_letter()});
  store.put(meta("ns", "a"), value("red"), false);
  store.put(meta("ns", "b"), value("rose"), false);
  EXPECT_EQ(store.by_index("letter", "r").size(), 2U);
  store.put(meta("ns", "a", "2"), value("blue"), false);
  EXPECT_EQ(store.by_index("letter", "r").size(), 1U);
  EXPECT_EQ(store.by_index("letter", "b").size(), 1U);
  store.erase({"ns", "a"});
  EXPECT_TRUE(store.by_index("letter", "b").empty());
  EXPECT_TRUE(store.by_index("unknown", "b").empty());
}

TEST(Store, NamesWhatIsAskedFor) {
  Store store({});
  for (const int i : {1, 2, 3}) {
    store.put({{"ns", "n" + std::to_string(i)}, "u", "1"}, std::make_shared<const int>(i), false);
  }
  auto odd =
      store.keys_where([](const void* value) { return *static_cast<const int*>(value) % 2 == 1; });
  std::sort(odd.begin(), odd.end());
  EXPECT_EQ(odd, (std::vector<ObjectKey>{{"ns", "n1"}, {"ns", "n3"}}));
  EXPECT_TRUE(store.keys_where([](const void*) { return false; }).empty());
}

RC_GTEST_PROP(Store, IsAMap, ()) {
  Store store({first_letter()});
  std::map<ObjectKey, std::string> model;
  const auto steps = *rc::gen::inRange(1, 100);
  for (int i = 0; i < steps; ++i) {
    const ObjectKey key{std::string(1, *rc::gen::inRange('m', 'p')),
                        std::string(1, *rc::gen::inRange('a', 'e'))};
    const auto text = std::string(1, *rc::gen::inRange('r', 'u')) + std::to_string(i);
    if (*rc::gen::inRange(0, 3) > 0) {
      const auto old = store.put(meta(key.ns, key.name, std::to_string(i + 1)), value(text), false);
      RC_ASSERT(old.has_value() == model.contains(key));
      model[key] = text;
    } else {
      RC_ASSERT(store.erase(key).has_value() == (model.erase(key) > 0));
    }
    RC_ASSERT(store.size() == model.size());
    std::map<std::string, std::size_t> letters;
    for (const auto& [stored, content] : model) {
      const auto found = store.find(stored);
      RC_ASSERT(found.has_value());
      RC_ASSERT(*static_cast<const std::string*>(found->value.get()) == content);
      ++letters[content.substr(0, 1)];
    }
    for (const char* letter : {"r", "s", "t"}) {
      RC_ASSERT(store.by_index("letter", letter).size() == letters[letter]);
    }
  }
}

TEST(Store, ReadersSeeWholeChangesWhileAWriterWorks) {
  Store store({first_letter()});
  store.put(meta("ns", "a"), value("even"), false);
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        const auto read = store.get({"ns", "a"});
        if (!read) ++wrong;
        if (store.by_index("letter", "e").size() + store.by_index("letter", "o").size() > 2)
          ++wrong;
        if (store.list().size() != 1) ++wrong;
      }
    });
  }
  for (int i = 0; i < 2'000; ++i) {
    store.put(meta("ns", "a", std::to_string(i + 2)), value(i % 2 == 0 ? "odd" : "even"), false);
  }
  stop = true;
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// Part of the promise of at most 1 KiB a cached pod: what the store adds to the value. Names and
// index of a real cluster: 40 bytes, one index with few values.
TEST(Store, CostsLittleBesideTheValues) {
  constexpr int kObjects = 100'000;
  const auto shared = value("the value itself is not counted");
  const auto before = mallinfo2().uordblks;
  Store store({first_letter()});
  for (int i = 0; i < kObjects; ++i) {
    const auto number = std::to_string(1'000'000 + i);
    store.put(meta("ci-" + number.substr(4), "build-pipeline-run-x7k2p-step-test-" + number,
                   "9" + number, "0b7c8a1e-9f52-4c6d-8a3b-1d2e3" + number),
              shared, false);
  }
  const auto used = mallinfo2().uordblks - before;
  RecordProperty("bytes_per_object", static_cast<int>(used / kObjects));
  EXPECT_LE(used / kObjects, 240U);
}
#endif

}  // namespace
}  // namespace gobuildenv::kube
