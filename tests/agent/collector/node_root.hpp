#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/collector/collector.hpp"
#include "tests/agent/collector/fixture.hpp"

/// An agent's root with one of each kind of unit, and what must hold of it at any moment.
namespace gobuildenv::agent::collector::testing {

namespace fs = std::filesystem;

constexpr const char* kModules = "caches/ns/env/mod/lower/2";
constexpr const char* kBuilds = "caches/ns/env/build/lower/1";
constexpr const char* kToolchain = "toolchains/go1.22.3.linux-amd64/h1-x";

struct FixedRoots final : RootSource {
  explicit FixedRoots(std::vector<Root> roots = {}) : held(std::move(roots)) {}
  std::vector<Root> held;
  std::vector<Root> roots() const override { return held; }
};

/// A clock that tests move.
struct TestClock {
  std::int64_t wall = ::time(nullptr) - 10 * 3600;
  std::int64_t since_boot = 1000;
  void pass(seconds by) {
    wall += by.count();
    since_boot += by.count();
  }
  [[nodiscard]] ClockReading read() const {
    return {wall * 1'000'000'000, seconds(since_boot), "this boot"};
  }
};

/// As an agent that starts now opens it.
inline tl::expected<Collector, std::string> open_collector(const std::string& root,
                                                           const TestClock& clock,
                                                           StepHook hook = {}) {
  return Collector::open(
      {.root = root, .clock = [&clock] { return clock.read(); }, .hook = std::move(hook)});
}

/// The disk is the machine's: how full it is must not decide.
inline Limits without_watermarks() {
  Limits limits;
  limits.high_percent = limits.low_percent = 100;
  return limits;
}

inline Limits everything_goes() {
  Limits limits = without_watermarks();
  limits.node.unused_for = seconds(0);
  limits.min_idle = seconds(0);
  return limits;
}

/// A root with one of each kind of unit.
class NodeRoot {
 public:
  explicit NodeRoot(std::string path) : path_(std::move(path)) { fill(); }

  /// Makes what is missing, as the agent and go would.
  void fill() const {
    for (int i = 0; i < 200; ++i) {
      write_file(at(kToolchain) + "/goroot/src/" + std::to_string(i % 9) + "/" + std::to_string(i),
                 "go");
    }
    for (const char* name :
         {"example.com/a", "example.com/b", "example.com/b/v2", "keep.example/k"}) {
      const std::string partial = at(kModules) + "/cache/download/" + name + "/@v/v1.0.0.partial";
      if (exists(partial) || !exists(at(kModules) + "/" + name + "@v1.0.0")) {
        fs::remove_all(at(kModules) + "/" + name + "@v1.0.0");
        fs::remove(partial);
        make_module(at(kModules), name, "v1.0.0", 6, 100);
        if (!has_lock(name)) fs::remove(lock_of(name));
      }
    }
    write_file(at("caches/ns/env/mod/lower/1") + "/old", "x");
    for (int i = 0; i < 12; ++i) {
      make_build(at(kBuilds), "0" + std::to_string(i % 10) + "aa" + std::to_string(i),
                 "f" + std::to_string(i % 5) + "aa", ::time(nullptr) - 8 * 3600 - 1800, 100);
    }
  }

  [[nodiscard]] std::string at(const std::string& name) const { return path_ + "/" + name; }
  /// Layers that the agent makes have no locks; one that go wrote has.
  static bool has_lock(std::string_view module) { return module != "example.com/b/v2"; }
  [[nodiscard]] std::string lock_of(const std::string& module) const {
    return at(kModules) + "/cache/download/" + module + "/@v/v1.0.0.lock";
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// What must hold at any moment, whoever was killed.
inline void expect_sound(const NodeRoot& root) {
  for (const char* name :
       {"example.com/a", "example.com/b", "example.com/b/v2", "keep.example/k"}) {
    const std::string extracted = root.at(kModules) + "/" + name + "@v1.0.0";
    const std::string stem = root.at(kModules) + "/cache/download/" + name + "/@v/v1.0.0";
    EXPECT_EQ(exists(stem + ".lock"), NodeRoot::has_lock(name)) << name;
    if (!NodeRoot::has_lock(name)) {
      EXPECT_FALSE(exists(stem + ".partial")) << name;
    }
    EXPECT_TRUE(exists(stem + ".mod")) << name;
    if (exists(stem + ".zip")) {
      EXPECT_EQ(fs::file_size(stem + ".zip"), 200U);
    }
    if (!exists(extracted)) continue;
    const auto files = std::distance(fs::recursive_directory_iterator(extracted),
                                     fs::recursive_directory_iterator());
    EXPECT_EQ(files, 9) << name;  // whole, whether or not .partial asks go to do it again
    if (!exists(stem + ".partial")) {
      EXPECT_TRUE(exists(stem + ".ziphash")) << name;
    }
  }
  EXPECT_TRUE(exists(root.at(kModules) + "/keep.example/k@v1.0.0"));
  if (exists(root.at(kToolchain))) {
    EXPECT_EQ(std::distance(fs::recursive_directory_iterator(root.at(kToolchain)),
                            fs::recursive_directory_iterator()),
              211);
  }
  for (const auto& entry : fs::recursive_directory_iterator(root.at(kBuilds))) {
    const std::string name = entry.path().filename();
    if (!name.ends_with("-a")) continue;
    const std::string output = read_file(entry.path()).substr(68, 64);
    EXPECT_TRUE(exists(root.at(kBuilds) + "/" + output.substr(0, 2) + "/" + output + "-d")) << name;
  }
  if (exists(root.at("ages.json"))) {
    EXPECT_TRUE(AgeBook::from_json(read_file(root.at("ages.json"))).has_value());
  }
}

}  // namespace gobuildenv::agent::collector::testing
