#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "agent/toolchains/toolchain_id.hpp"
#include "tests/agent/sumdb/test_database.hpp"
#include "tests/agent/toolchains/test_zip.hpp"
#include "tests/kube/scripted_server.hpp"

namespace gobuildenv::agent::testing {

inline ToolchainId toolchain(int minor, int patch) { return {{1, minor, patch}, "linux", "amd64"}; }

/// A module proxy on loopback with toolchains, and a checksum database behind it.
class ModuleProxy {
 public:
  using Reply = kube::testing::Reply;

  ModuleProxy() { database.grow(300); }

  /// Adds a small toolchain that the database vouches for; gives its sum.
  std::string add(const ToolchainId& id, const std::vector<TestEntry>& extra = {}) {
    const std::lock_guard lock(mutex);
    const auto entries = small_toolchain(goenv::to_string(id.version), extra);
    zips["/golang.org/toolchain/@v/" + id.module_version() + ".zip"] = make_zip(entries);
    const std::string h1 = h1_of_entries(entries);
    database.add_module("golang.org/toolchain", id.module_version(), h1);
    database.grow(10);
    return h1;
  }

  [[nodiscard]] std::string url() const { return server.url(); }

  /// How often a target was asked for that contains `part`.
  [[nodiscard]] std::size_t asked(const std::string& part) const {
    std::size_t count = 0;
    for (const auto& request : server.requests()) {
      count += request.target.find(part) != std::string::npos ? 1U : 0U;
    }
    return count;
  }

  std::mutex mutex;  ///< over what follows
  sumdb::testing::TestDatabase database;
  std::map<std::string, std::string> zips;  ///< by target
  std::atomic<bool> supports_database = true;
  std::atomic<int> status = 0;                          ///< answered to everything unless 0
  std::map<std::string, kube::testing::Reply> instead;  ///< by target

 private:
  Reply answer(const std::string& target) {
    const std::lock_guard lock(mutex);
    if (const auto own = instead.find(target); own != instead.end()) return own->second;
    if (status != 0) return Reply::json(status, "");
    if (const auto zip = zips.find(target); zip != zips.end()) return Reply::json(200, zip->second);
    const std::string base = "/sumdb/sum.example";
    if (supports_database && target.starts_with(base)) {
      const std::string path = target.substr(base.size());
      if (path == "/supported") return Reply::json(200, "");
      const auto found = database.read(path);
      if (found) return Reply::json(200, *found);
    }
    return Reply::json(404, "not found");
  }

 public:
  kube::testing::ScriptedServer server{
      [this](const kube::testing::RecordedRequest& request) { return answer(request.target); }};
};

}  // namespace gobuildenv::agent::testing
