#include "agent/node/root_lock.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "kube/clock.hpp"
#include "tests/agent/temp_folder.hpp"

namespace gobuildenv::agent {
namespace {

TEST(RootLock, OneAtATime) {
  const testing::TempFolder root;
  kube::RealClock clock;
  std::optional<RootLock> first =
      RootLock::take(root.path(), std::chrono::seconds(0), clock).value();
  const auto second = RootLock::take(root.path(), std::chrono::milliseconds(1), clock);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().find(root.path()), std::string::npos) << second.error();
  first.reset();
  EXPECT_TRUE(RootLock::take(root.path(), std::chrono::seconds(0), clock));
}

TEST(RootLock, SaysWhatCannotBeOpened) {
  const testing::TempFolder root;
  kube::RealClock clock;
  const auto lock = RootLock::take(root.path("none"), std::chrono::seconds(0), clock);
  ASSERT_FALSE(lock);
  EXPECT_NE(lock.error().find("/none/agent.lock"), std::string::npos);
}

}  // namespace
}  // namespace gobuildenv::agent
