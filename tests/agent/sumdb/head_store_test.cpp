#include "agent/sumdb/head_store.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <stdexcept>

#include "tests/agent/sumdb/test_database.hpp"
#include "tests/agent/temp_folder.hpp"

namespace gobuildenv::agent::sumdb {
namespace {

using agent::testing::read_file;
using agent::testing::TempFolder;
using agent::testing::write_file;
using testing::TestDatabase;

SignedHead head_of(const TestDatabase& database, std::uint64_t size) {
  return {database.head(size), database.signed_head(size)};
}

class HeadStoreTest : public ::testing::Test {
 protected:
  HeadStoreTest() { database.grow(20); }
  TempFolder folder;
  TestDatabase database;
  const std::string path = folder.path("head");
};

TEST_F(HeadStoreTest, RemembersOverRestarts) {
  {
    auto store = HeadStore::open(path, database.key());
    ASSERT_TRUE(store) << store.error().message;
    EXPECT_EQ((*store)->current(), nullptr);
    EXPECT_EQ((*store)->advance(nullptr, head_of(database, 7)), true);
  }
  auto store = HeadStore::open(path, database.key());
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ((*store)->current()->head, database.head(7));
}

TEST_F(HeadStoreTest, NeverGoesBackAndNeverOverwritesWhatItHasNotSeen) {
  auto store = *HeadStore::open(path, database.key());
  ASSERT_EQ(store->advance(nullptr, head_of(database, 7)), true);
  EXPECT_EQ(store->advance(nullptr, head_of(database, 9)), false) << "somebody was faster";
  EXPECT_EQ(store->advance(store->current(), head_of(database, 5)), true);
  EXPECT_EQ(store->current()->head.size, 7U);
  EXPECT_EQ(read_file(path), database.signed_head(7));
}

TEST_F(HeadStoreTest, AnEndAtAnyStepLeavesOneWholeHead) {
  ASSERT_EQ((*HeadStore::open(path, database.key()))->advance(nullptr, head_of(database, 7)), true);
  int steps = 0;
  for (const std::string_view at : {"file-written", "file-renamed"}) {
    const auto hook = [at](std::string_view step) {
      if (step == at) throw std::runtime_error("killed");
    };
    auto store = *HeadStore::open(path, database.key(), hook);
    EXPECT_THROW((void)store->advance(store->current(), head_of(database, 9)), std::runtime_error);
    const auto again = HeadStore::open(path, database.key());
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ((*again)->current()->head.size, at == "file-written" ? 7U : 9U);
    ++steps;
  }
  EXPECT_EQ(steps, 2);
}

TEST_F(HeadStoreTest, AForgedFileIsAnErrorThatSaysWhatToDo) {
  const TestDatabase other("sum.example", 9);
  for (const std::string& content : {std::string(), std::string("x"), other.signed_head(0)}) {
    write_file(path, content);
    const auto store = HeadStore::open(path, database.key());
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().kind, Error::Kind::Disk);
    EXPECT_NE(store.error().message.find("remove it"), std::string::npos);
  }
}

TEST_F(HeadStoreTest, AFolderThatCannotBeWrittenIsAnError) {
  auto store = *HeadStore::open(folder.path("missing/head"), database.key());
  EXPECT_EQ(store->advance(nullptr, head_of(database, 7)).error().kind, Error::Kind::Disk);
  EXPECT_EQ(store->current(), nullptr);
}

}  // namespace
}  // namespace gobuildenv::agent::sumdb
