#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "agent/caches/build_entry.hpp"
#include "agent/caches/layers.hpp"
#include "tests/agent/temp_folder.hpp"
#include "tests/agent/toolchains/test_zip.hpp"

namespace gobuildenv::agent::testing {

namespace fs = std::filesystem;

inline constexpr const char* kModules = "caches/ns-uid/ci/mod";
inline constexpr const char* kBuilds = "caches/ns-uid/ci/build";

/// What `go mod download` leaves of a module, extracted files included.
struct TestModule {
  std::string path;  ///< without capitals
  std::string version;
  std::map<std::string, std::string> files{{"a.go", "package a\n"}};

  [[nodiscard]] std::string go_mod() const { return "module " + path + "\n"; }
  [[nodiscard]] std::string name() const { return path + "@" + version; }
  [[nodiscard]] std::string download(const std::string& suffix) const {
    return "cache/download/" + path + "/@v/" + version + suffix;
  }
  [[nodiscard]] std::vector<TestEntry> entries() const {
    std::vector<TestEntry> out{{name() + "/go.mod", go_mod()}};
    for (const auto& [file, content] : files) out.push_back({name() + "/" + file, content});
    return out;
  }
  void write(const std::string& cache) const {
    write_file(cache + "/" + download(".mod"), go_mod());
    write_file(cache + "/" + download(".info"), "{\"Version\":\"" + version + "\"}");
    write_file(cache + "/" + download(".zip"), make_zip(entries()));
    write_file(cache + "/" + download(".ziphash"), h1_of_entries(entries()));
    write_file(cache + "/" + download(".lock"), "");
    write_file(cache + "/" + name() + "/go.mod", go_mod());
    for (const auto& [file, content] : files) {
      write_file(cache + "/" + name() + "/" + file, content);
    }
  }
};

/// An action and its output, as go's cache keeps them.
struct TestBuild {
  std::string action;  ///< made into an id
  std::string output;

  static Sha256 sum(const std::string& text) {
    Sha256Stream sha;
    sha.add(text.data(), text.size());
    return sha.finish();
  }
  [[nodiscard]] Sha256 id() const { return sum("action " + action); }
  static std::string place(const Sha256& id, const char* suffix) {
    const std::string text = hex(id);
    return text.substr(0, 2) + "/" + text + suffix;
  }
  [[nodiscard]] std::string a() const { return place(id(), "-a"); }
  [[nodiscard]] std::string d() const { return place(sum(output), "-d"); }
  [[nodiscard]] std::string line() const { return to_line({id(), sum(output), output.size(), 7}); }
  void write(const std::string& cache) const {
    write_file(cache + "/" + a(), line());
    write_file(cache + "/" + d(), output);
  }
};

class Layers : public ::testing::Test {
 protected:
  std::string upper(const std::string& name = "u") { return root_.path("uppers/" + name); }

  tl::expected<Promotion, TakeError> promote_modules(std::vector<std::string> uppers = {"u"},
                                                     TakeLimits limits = {}, StepHook hook = {}) {
    return run(kModules, VolumeKind::Modules, uppers, limits, std::move(hook));
  }
  tl::expected<Promotion, TakeError> promote_builds(std::vector<std::string> uppers = {"u"},
                                                    TakeLimits limits = {}, StepHook hook = {}) {
    return run(kBuilds, VolumeKind::Build, uppers, limits, std::move(hook));
  }
  tl::expected<Promotion, TakeError> run(const std::string& cache, VolumeKind kind,
                                         const std::vector<std::string>& uppers, TakeLimits limits,
                                         StepHook hook) {
    fs::create_directories(root_.path("uppers"));
    const Fd root = collector::open_trusted_folder(root_.path()).value();
    std::vector<Fd> opened;
    for (const std::string& name : uppers) {
      fs::create_directories(upper(name));
      opened.push_back(collector::open_trusted_folder(upper(name)).value());
    }
    PromotionInput in{root,   cache, kind,           opened, "work" + std::to_string(++turn_),
                      limits, {},    std::move(hook)};
    return promote(in);
  }

  /// Every file below `folder` with its content; anything but files and folders fails the test.
  static std::map<std::string, std::string> content(const std::string& folder) {
    std::map<std::string, std::string> out;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      EXPECT_FALSE(entry.is_symlink()) << entry.path();
      EXPECT_TRUE(entry.is_regular_file() || entry.is_directory()) << entry.path();
      if (entry.is_regular_file()) {
        out[fs::relative(entry.path(), folder).string()] = read_file(entry.path().string());
      }
    }
    return out;
  }
  static unsigned mode(const std::string& path) {
    struct stat found {};
    return ::lstat(path.c_str(), &found) == 0 ? found.st_mode & 07777U : 0U;
  }
  std::string layer(const char* cache, int number) {
    return root_.path(std::string(cache) + "/lower/" + std::to_string(number));
  }
  std::string newest(const std::string& cache) {
    return newest_layer(collector::open_trusted_folder(root_.path()).value(), cache);
  }

  /// Where a sync of the whole file system waits for nobody else's writes.
  TempFolder root_{fs::exists("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path()};
  int turn_ = 0;
};

}  // namespace gobuildenv::agent::testing
