// What a trusted pod wrote, on a disk that loses its power before it is taken over.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "agent/caches/node_caches.hpp"
#include "agent/unique_fd.hpp"
#include "tests/agent/csi/calls.hpp"
#include "tests/agent/faults/loop_disk.hpp"

namespace gobuildenv::agent {
namespace {

namespace fs = std::filesystem;
using namespace gobuildenv::agent::testing;  // NOLINT(google-build-using-namespace)

constexpr const char* kCache = "caches/ns-uid/ci/mod";
constexpr const char* kMod = "cache/download/example.com/a/@v/v1.0.0.mod";

class PromotionFaults : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    disk_ = LoopDisk::make({}, why);
    if (!disk_) GTEST_SKIP() << why;
    declared_.modules = goenv::CacheScope::Environment;
    declared_.trusted_service_accounts = {"releaser"};
    fs::create_directories(disk_->path("root"));
    fs::permissions(disk_->path("root"), fs::perms::owner_all);
    start("boot-1");
  }
  void start(const std::string& boot) {
    NodeCachesOptions options;
    options.root = disk_->path("root");
    options.boot_id = boot;
    auto opened = NodeCaches::open(
        options,
        {[this](const auto&, const auto&) { return std::optional<goenv::Cache>(declared_); },
         [](const auto&) { return "ns-uid"; }},
        clock_, [this](const PromotionResult& one) { results_.push_back(one.kind); });
    ASSERT_TRUE(opened.has_value()) << opened.error();
    caches_ = std::move(*opened);
  }
  void release(const std::string& id, const std::string& boot) {
    VolumeRecord record;
    record.volume_id = id;
    record.kind = VolumeKind::Modules;
    record.pod = {"team-a", "p", kUid, "releaser"};
    record.environment = "ci";
    record.target = target_of(kUid, id);
    record.source = "pods/" + id + "/upper";
    record.cache = kCache;
    record.boot_id = boot;
    write_file(disk_->path("root/" + record.source + "/" + kMod), mod_);
    const auto given = caches_->hand_over(record);
    ASSERT_TRUE(given.has_value()) << given.error();
  }
  /// Names reach the disk some seconds after they were given; what is in the files, later.
  void commit_names() const {
    const UniqueFd folder(::open(disk_->path("root/promotions").c_str(), O_RDONLY | O_DIRECTORY));
    ASSERT_EQ(::fsync(folder.get()), 0);
  }

  const std::string mod_ = "module example.com/a\n" + std::string(9000, '/');
  std::unique_ptr<LoopDisk> disk_;
  kube::FakeClock clock_;
  goenv::Cache declared_;
  std::vector<PromotionResult::Kind> results_;
  std::unique_ptr<NodeCaches> caches_;
};

TEST_F(PromotionFaults, APowerCutLeavesNoHalfFilesInALayer) {
  release("csi-1", "boot-1");
  commit_names();
  caches_.reset();
  ASSERT_TRUE(disk_->cut_power());
  ASSERT_TRUE(disk_->reboot());
  ASSERT_TRUE(fs::exists(disk_->path("root/promotions/csi-1/upper/" + std::string(kMod))));
  start("boot-2");
  EXPECT_EQ(caches_->promote_pending(), 0U);
  EXPECT_EQ(results_, std::vector{PromotionResult::Kind::Failed});
  EXPECT_EQ(caches_->newest(kCache), "");
  // Nor does it stand in the way of who has it whole.
  release("csi-2", "boot-2");
  EXPECT_EQ(caches_->promote_pending(), 0U);
  EXPECT_EQ(read_file(disk_->path("root/" + caches_->newest(kCache) + "/" + kMod)), mod_);
}

}  // namespace
}  // namespace gobuildenv::agent
