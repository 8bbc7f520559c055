#include "webhooks/server/certificate_files.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>

#include "webhooks/certificates/rotation.hpp"

namespace gobuildenv::webhooks::certificates {
namespace {

class CertificateFilesTest : public ::testing::Test {
 protected:
  CertificateFilesTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "gbe-certs-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  ~CertificateFilesTest() override { std::filesystem::remove_all(directory_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ + "/" + name, std::ios::binary) << text;
  }
  void write(const KeyPair& pair) {
    write("tls.crt", pair.certificate);
    write("tls.key", pair.private_key);
  }
  static KeyPair leaf() {
    RotationOptions options;
    options.dns_names = {"webhook.test"};
    return advance(Step::CreateAll, std::nullopt, std::chrono::system_clock::now(), options)->leaf;
  }

  std::string directory_;
};

TEST_F(CertificateFilesTest, GivesEachGoodPairOnce) {
  CertificateFiles files(directory_);
  EXPECT_FALSE(files.reload());
  EXPECT_EQ(files.errors(), 1U);
  EXPECT_NE(files.last_error().find("is missing"), std::string::npos);
  const KeyPair first = leaf();
  write(first);
  EXPECT_EQ(files.reload(), first);
  EXPECT_EQ(files.last_error(), "");
  EXPECT_FALSE(files.reload());
  const KeyPair second = leaf();
  write(second);
  EXPECT_EQ(files.reload(), second);
  EXPECT_EQ(files.reads(), 2U);
  EXPECT_EQ(files.errors(), 1U);
}

TEST_F(CertificateFilesTest, PassesOverHalfWrittenPairs) {
  CertificateFiles files(directory_);
  const KeyPair first = leaf();
  const KeyPair second = leaf();
  write(first);
  ASSERT_TRUE(files.reload());
  write("tls.crt", second.certificate);
  EXPECT_FALSE(files.reload()) << "certificate and key do not belong together";
  EXPECT_FALSE(files.reload());
  EXPECT_EQ(files.errors(), 1U) << "the same state is one error";
  write("tls.key", second.private_key.substr(0, 40));
  EXPECT_FALSE(files.reload());
  EXPECT_EQ(files.errors(), 2U);
  write("tls.key", second.private_key);
  EXPECT_EQ(files.reload(), second);
}

TEST_F(CertificateFilesTest, WatcherDeliversChanges) {
  CertificateFiles files(directory_);
  write(leaf());
  ASSERT_TRUE(files.reload());
  std::promise<KeyPair> delivered;
  std::promise<std::string> reported;
  {
    CertificateWatcher watcher(
        files, std::chrono::milliseconds(5),
        [&delivered](const KeyPair& pair) { delivered.set_value(pair); },
        [&reported](const std::string& error) { reported.set_value(error); });
    write("tls.key", "half");
    auto error = reported.get_future();
    ASSERT_EQ(error.wait_for(std::chrono::seconds(60)), std::future_status::ready);
    EXPECT_NE(error.get().find("private key"), std::string::npos);
  }
  CertificateWatcher again(files, std::chrono::milliseconds(5),
                           [&delivered](const KeyPair& pair) { delivered.set_value(pair); }, {});
  const KeyPair next = leaf();
  std::ofstream(directory_ + "/staged", std::ios::binary) << next.certificate;
  std::filesystem::rename(directory_ + "/staged", directory_ + "/tls.crt");
  std::ofstream(directory_ + "/staged", std::ios::binary) << next.private_key;
  std::filesystem::rename(directory_ + "/staged", directory_ + "/tls.key");
  auto pair = delivered.get_future();
  ASSERT_EQ(pair.wait_for(std::chrono::seconds(60)), std::future_status::ready);
  EXPECT_EQ(pair.get(), next);
}

}  // namespace
}  // namespace gobuildenv::webhooks::certificates
