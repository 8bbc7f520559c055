#include "agent/toolchains/store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill() is POSIX
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

#include "agent/toolchains/record.hpp"
#include "tests/agent/temp_folder.hpp"

namespace gobuildenv::agent {
namespace {

using testing::read_file;
using testing::TempFolder;
using testing::write_file;

const ToolchainId kId{{1, 22, 3}, "linux", "amd64"};
const std::string kSum = "h1:LqXmlW4rn/rqR5z8Sz3hri+dYqwQ73YKgkSjm31jRFM=";
const std::string kKey = "h1-LqXmlW4rn_rqR5z8Sz3hri-dYqwQ73YKgkSjm31jRFM";
const std::string kOther = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

class StoreTest : public ::testing::Test {
 protected:
  ToolchainStore open(StepHook hook = {}) {
    auto store = ToolchainStore::open(folder.path("root"), std::move(hook));
    if (!store) throw std::runtime_error(store.error().message);
    return *std::move(store);
  }
  static tl::expected<StoredToolchain, StoreError> publish(const ToolchainStore& store,
                                                           const std::string& sum = kSum,
                                                           const std::string& uid = "",
                                                           const std::string& content = "go") {
    auto incoming = store.begin();
    if (!incoming) return tl::unexpected(incoming.error());
    write_file(incoming->archive(), "zip");
    write_file(incoming->goroot() + "/bin/go", content);
    return store.publish(*std::move(incoming), kId, uid,
                         {sum, 2, 1, 1000, "https://goproxy.example"});
  }
  [[nodiscard]] std::size_t incoming() const {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(folder.path("root/incoming"))) {
      ++count;
    }
    return count;
  }

  TempFolder folder;
};

TEST(ToolchainId, NamesAreReadBack) {
  for (const std::string_view name : {"go1.22.3.linux-amd64", "go1.21.0.linux-arm64",
                                      "go1.20.linux-386", "go1.23rc1.darwin-arm64"}) {
    const auto id = parse_toolchain_id(name);
    ASSERT_TRUE(id) << name;
    EXPECT_EQ(id->name(), name);
  }
  for (const std::string_view bad : {"", "go", "1.22.3.linux-amd64", "go1.22.3", "go1.22.3.linux",
                                     "go1.22.3.linux-", "go1.22.3.-x", "go1.22.3.linux-amd64/..",
                                     "go01.22.3.linux-amd64", "go1.20.0.linux-amd64"}) {
    EXPECT_FALSE(parse_toolchain_id(bad)) << bad;
  }
}

TEST(StoreKey, IsAFolderNameOfTheSum) {
  EXPECT_EQ(store_key(kSum, ""), kKey);
  EXPECT_EQ(store_key(kSum, "0f-1"), "ns-0f-1-" + kKey);
  for (const std::string& bad :
       {std::string(), std::string("h1:"), std::string("h1:../../x"),
        std::string("h2") + kSum.substr(2), kSum + "=", kSum + "\n", kSum.substr(0, 40)}) {
    EXPECT_EQ(store_key(bad, ""), "") << bad;
  }
  EXPECT_EQ(store_key(kSum, "../x"), "");
  EXPECT_EQ(store_key(kSum, "a/b"), "");
}

TEST_F(StoreTest, PublishesAndFinds) {
  const auto store = open();
  EXPECT_FALSE(store.find({kId, {}}));
  const auto stored = publish(store);
  ASSERT_TRUE(stored) << stored.error().message;
  EXPECT_EQ(stored->goroot(),
            folder.path("root/toolchains/go1.22.3.linux-amd64/") + kKey + "/goroot");
  EXPECT_EQ(read_file(stored->goroot() + "/bin/go"), "go");
  EXPECT_FALSE(std::filesystem::exists(stored->folder + "/toolchain.zip"));
  struct stat mode {};
  ASSERT_EQ(::stat(stored->folder.c_str(), &mode), 0);
  EXPECT_EQ(mode.st_mode & 0777U, 0755U) << "any uid must get through";

  const auto again = open();
  const auto found = again.find({kId, {}});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->folder, stored->folder);
  EXPECT_EQ(found->record, (ToolchainRecord{kSum, 2, 1, 1000, "https://goproxy.example"}));
  EXPECT_EQ(again.list().size(), 1U);
  EXPECT_FALSE(again.find({{{1, 22, 4}, "linux", "amd64"}, {}}));
  EXPECT_FALSE(again.find({{{1, 22, 3}, "linux", "arm64"}, {}}));
}

TEST_F(StoreTest, APinnedToolchainIsTheNamespacesOwn) {
  const auto store = open();
  ASSERT_TRUE(publish(store, kSum, "uid-a"));
  EXPECT_TRUE(store.find({kId, PinnedSum{kSum, "uid-a"}}));
  EXPECT_FALSE(store.find({kId, PinnedSum{kSum, "uid-b"}}));
  EXPECT_FALSE(store.find({kId, PinnedSum{kOther, "uid-a"}}));
  EXPECT_FALSE(store.find({kId, {}})) << "nobody verified it for all";
  ASSERT_TRUE(publish(store));
  EXPECT_EQ(store.find({kId, PinnedSum{kSum, "uid-b"}})->key, kKey) << "the same bytes, verified";
  EXPECT_EQ(store.find({kId, {}})->key, kKey);
  EXPECT_EQ(store.list().size(), 2U);
}

TEST_F(StoreTest, TheFirstOfTwoStays) {
  const auto store = open();
  ASSERT_TRUE(publish(store, kSum, "", "first"));
  const auto second = publish(store, kSum, "", "second");
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(read_file(second->goroot() + "/bin/go"), "first");
  EXPECT_EQ(incoming(), 0U);
}

TEST_F(StoreTest, WorkThatIsNotPublishedIsGone) {
  const auto store = open();
  {
    auto incoming_folder = store.begin();
    ASSERT_TRUE(incoming_folder);
    write_file(incoming_folder->goroot() + "/bin/go", "x");
    std::filesystem::permissions(incoming_folder->goroot() + "/bin", std::filesystem::perms(0555));
    EXPECT_EQ(incoming(), 1U);
  }
  EXPECT_EQ(incoming(), 0U);
}

TEST_F(StoreTest, AnEndAtEveryStepLeavesAllOrNothing) {
  for (const std::string_view at : {"record", "sync", "rename", "folder-sync"}) {
    SCOPED_TRACE(at);
    const TempFolder own;
    const pid_t child = ::fork();
    if (child == 0) {
      auto store = ToolchainStore::open(own.path("root"), [at](std::string_view step) {
        if (step == at) ::kill(::getpid(), SIGKILL);
      });
      [[maybe_unused]] const auto published = publish(*store);
      ::_exit(1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the step was not reached";
    const auto store = ToolchainStore::open(own.path("root"));
    ASSERT_TRUE(store) << store.error().message;
    EXPECT_TRUE(std::filesystem::is_empty(own.path("root/incoming")));
    const bool published = at == "rename" || at == "folder-sync";
    const auto found = store->find({kId, {}});
    EXPECT_EQ(found.has_value(), published);
    if (found) {
      EXPECT_EQ(read_file(found->goroot() + "/bin/go"), "go");
    }
    EXPECT_EQ(store->list().size(), published ? 1U : 0U);
    EXPECT_TRUE(publish(*store)) << "and it can be done again";
  }
}

TEST_F(StoreTest, WhatIsNotOursIsNotListed) {
  const auto store = open();
  const std::string base = folder.path("root/toolchains/go1.22.3.linux-amd64/");
  write_file(folder.path("root/toolchains/README"), "x");
  write_file(folder.path("root/toolchains/goX/h1-a/record.json"), "{}");
  write_file(base + kKey + "/goroot/bin/go", "no record");
  write_file(base + "h1-damaged/record.json", "{\"h1\":1}");
  // A record that belongs to another sum than its folder's name says.
  write_file(base + store_key(kOther, "") + "/record.json",
             encode_record({kSum, 1, 1, 1, "https://goproxy.example"}));
  EXPECT_TRUE(store.list().empty());
  EXPECT_FALSE(store.find({kId, {}}));
  const auto blocked = publish(store);
  ASSERT_FALSE(blocked);
  EXPECT_EQ(blocked.error().kind, StoreError::Kind::Invalid);
  EXPECT_THAT(blocked.error().message, ::testing::HasSubstr("remove it"));
}

TEST_F(StoreTest, BadInputIsRefusedWithItsFix) {
  EXPECT_EQ(ToolchainStore::open("relative").error().kind, StoreError::Kind::Invalid);
  write_file(folder.path("file"), "");
  EXPECT_EQ(ToolchainStore::open(folder.path("file")).error().kind, StoreError::Kind::Io);
  const auto store = open();
  EXPECT_EQ(publish(store, "h1:bad").error().kind, StoreError::Kind::Invalid);
  EXPECT_EQ(publish(store, kSum, "../up").error().kind, StoreError::Kind::Invalid);
}

TEST(StoreErrorTest, TellsFullAndReadOnlyDisks) {
  const auto kind = [](int code) {
    return store_error("write", "/x", {code, std::generic_category()}).kind;
  };
  EXPECT_EQ(kind(ENOSPC), StoreError::Kind::DiskFull);
  EXPECT_EQ(kind(EDQUOT), StoreError::Kind::DiskFull);
  EXPECT_EQ(kind(EROFS), StoreError::Kind::ReadOnly);
  EXPECT_EQ(kind(EIO), StoreError::Kind::Io);
}

TEST(Record, IsReadBackAndNothingElse) {
  const ToolchainRecord record{kSum, 5, 6, 7, "file:///x"};
  EXPECT_EQ(decode_record(encode_record(record)), record);
  for (const std::string_view bad :
       {"", "{", "[]", "{}", "1", R"({"h1":"x","bytes":"y"})",
        R"({"h1":"x","bytes":1,"files":2e99,"fetchedAt":3,"source":"y"})",
        R"({"h1":"x","bytes":1,"files":2,"fetchedAt":18446744073709551615,"source":"y"})",
        R"({"h1":"x","bytes":-1,"files":2,"fetchedAt":3,"source":"y"})"}) {
    EXPECT_FALSE(decode_record(bad)) << bad;
  }
}

}  // namespace
}  // namespace gobuildenv::agent
