// How much of a cache a layer may have.
#include <gmock/gmock.h>

#include <string>

#include "agent/caches/files.hpp"
#include "agent/caches/layer_room.hpp"
#include "tests/agent/caches/fixture.hpp"

namespace gobuildenv::agent {
namespace {

using namespace gobuildenv::agent::testing;  // NOLINT(google-build-using-namespace)
using ::testing::Contains;
using ::testing::Key;

TEST(LayerRoom, BothKindsTogetherStayBelowTheLimit) {
  struct Case {
    std::uint64_t sibling;
    bool shared;
    std::uint64_t room;
  };
  for (const auto& [sibling, shared, room] : {Case{0, false, 900},
                                              {0, true, 675},
                                              {200, true, 675},
                                              {200, false, 675},
                                              {300, true, 600},
                                              {675, true, 225},
                                              {5000, true, 225}}) {
    EXPECT_EQ(layer_room(1000, sibling, shared), room) << sibling << " " << shared;
  }
  EXPECT_EQ(layer_room(0, 0, true), 0U);
}

/// Whichever goes first, and however often.
TEST(LayerRoom, NeitherStarvesTheOther) {
  std::uint64_t modules = layer_room(1000, 0, true);
  std::uint64_t builds = 0;
  for (int i = 0; i < 4; ++i) {
    builds = layer_room(1000, modules, true);
    EXPECT_GE(builds, 225U);
    EXPECT_LE(modules + builds, 900U);
    modules = layer_room(1000, builds, true);
    EXPECT_GE(modules, 225U);
    EXPECT_LE(modules + builds, 900U);
  }
}

class LayerLimits : public Layers {
 public:
  using Layers::promote_builds;
  using Layers::promote_modules;

 protected:
  void write(const std::string& name, int from, int to) {
    for (int i = from; i < to; ++i) {
      const std::string text = name + std::to_string(i);
      TestBuild{text, text}.write(upper(name));
      TestModule{"example.com/" + text, "v1.0.0"}.write(upper(name));
    }
  }
  static TakeLimits entries(std::uint64_t most) {
    TakeLimits out;
    out.entries = most;
    return out;
  }
};

TEST_F(LayerLimits, ALayerHasNoMoreEntriesThanAreAllowed) {
  write("first", 0, 3);
  write("second", 0, 2);
  write("third", 0, 3);
  for (const auto& make : {&LayerLimits::promote_builds, &LayerLimits::promote_modules}) {
    const auto first = (this->*make)({"first"}, entries(3), {});
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_EQ(first->report.taken, 3U) << first->report.first_refusal;
    const auto second = (this->*make)({"second"}, entries(3), {});
    ASSERT_TRUE(second) << second.error().message;
    EXPECT_EQ(second->report.taken, 2U);
    EXPECT_EQ(second->report.kept, 1U);
    EXPECT_EQ(second->report.dropped, 2U);
    const auto third = (this->*make)({"third"}, entries(3), {});
    ASSERT_TRUE(third) << third.error().message;
    EXPECT_EQ(third->report.taken, 3U);
    EXPECT_EQ(third->report.kept, 0U);
  }
}

/// As an agent made it that allowed more.
TEST_F(LayerLimits, ALayerWithTooManyCanBeBuiltOn) {
  write("first", 0, 10);
  write("second", 0, 1);
  for (const auto& make : {&LayerLimits::promote_builds, &LayerLimits::promote_modules}) {
    ASSERT_TRUE((this->*make)({"first"}, {}, {}));
    const auto done = (this->*make)({"second"}, entries(3), {});
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(done->report.taken, 1U);
    EXPECT_LE(done->report.kept, 2U);
  }
  EXPECT_THAT(content(layer(kBuilds, 2)), Contains(Key(TestBuild{"second0", "second0"}.d())));
}

TEST_F(LayerLimits, NamesAreCountedWhileTheyAreRead) {
  for (int i = 0; i < 4; ++i) write_file(root_.path("many/" + std::to_string(i)), "");
  fs::create_directories(root_.path("many/folder"));
  const Fd folder = collector::open_trusted_folder(root_.path("many")).value();
  EXPECT_EQ(names_in(folder, false, 4).value().size(), 4U);
  EXPECT_EQ(names_in(folder, true, 1).value().size(), 1U);
  EXPECT_EQ(names_in(folder, false, 3).error(), std::errc::value_too_large);
}

/// A shard of names that are none must not stand in memory.
TEST_F(LayerLimits, AShardFullOfOtherNamesIsNotTaken) {
  const TestBuild good{"good", "good"};
  good.write(upper("b"));
  const std::string shard = good.a().substr(0, 2);
  for (int i = 0; i < 20; ++i) write_file(upper("b") + "/" + shard + "/" + std::to_string(i), "");
  const auto full = promote_builds({"b"}, entries(3));
  ASSERT_TRUE(full);
  EXPECT_EQ(full->report.taken, 0U);
  EXPECT_EQ(full->report.refused, 1U);
  EXPECT_EQ(promote_builds({"b"}, entries(30)).value().report.taken, 1U);
}

}  // namespace
}  // namespace gobuildenv::agent
