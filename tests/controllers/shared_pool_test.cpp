#include "controllers/shared_pool.hpp"

#include <gtest/gtest.h>

#include <compare>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace gobuildenv::controllers {
namespace {

/// Counts how many of it there are, those inside the pool too.
struct Counted {
  inline static int alive = 0;
  int number;
  explicit Counted(int of) : number(of) { ++alive; }
  Counted(const Counted& other) : number(other.number) { ++alive; }
  Counted& operator=(const Counted&) = default;
  ~Counted() { --alive; }
  friend auto operator<=>(const Counted&, const Counted&) = default;
};

TEST(SharedPool, EqualValuesAreOneWhileSomebodyHoldsThem) {
  SharedPool<std::unordered_map<std::string, std::weak_ptr<const std::string>>> pool;
  auto first = pool.get("a");
  EXPECT_EQ(pool.get("a"), first);
  EXPECT_NE(pool.get("b"), first);
  const std::weak_ptr<const std::string> was = first;
  first.reset();
  EXPECT_TRUE(was.expired()) << "the pool itself must not hold it";
  EXPECT_EQ(*pool.get("a"), "a");
}

TEST(SharedPool, ForgetsWhatNobodyHolds) {
  {
    SharedPool<std::map<Counted, std::weak_ptr<const Counted>>> pool;
    std::vector<std::shared_ptr<const Counted>> held;
    for (int i = 0; i < 10'000; ++i) {
      const auto got = pool.get(Counted(i));
      if (i % 1'000 == 0) held.push_back(got);
    }
    // At most as many dead ones as make it purge, and each held value twice.
    EXPECT_LT(Counted::alive, 300);
    for (int i = 0; i < 10; ++i) EXPECT_EQ(pool.get(Counted(i * 1'000)), held[std::size_t(i)]);
  }
  EXPECT_EQ(Counted::alive, 0);
}

}  // namespace
}  // namespace gobuildenv::controllers
