#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "agent/sumdb/client.hpp"
#include "agent/sumdb/head_store.hpp"
#include "agent/toolchains/toolchain_id.hpp"
#include "tests/agent/sumdb/test_database.hpp"
#include "tests/agent/temp_folder.hpp"
#include "tests/agent/toolchains/test_zip.hpp"

namespace gobuildenv::agent::testing {

/// A module proxy made of files, with toolchains and what proves their sums.
class FileProxy {
 public:
  FileProxy(std::string folder, sumdb::testing::TestDatabase& database)
      : folder_(std::move(folder)), database_(database) {
    database_.grow(300);
  }

  /// A small toolchain with `extra` in it.
  void add(const ToolchainId& id, const std::vector<TestEntry>& extra = {}) {
    const auto entries = small_toolchain(goenv::to_string(id.version), extra);
    write_file(folder_ + "/golang.org/toolchain/@v/" + id.module_version() + ".zip",
               make_zip(entries));
    database_.add_module("golang.org/toolchain", id.module_version(), h1_of_entries(entries));
    ids_.push_back(id);
  }

  /// Writes what a client asks the database for. After the last add().
  void publish() {
    const std::string base = folder_ + "/sumdb/sum.example";
    write_file(base + "/supported", "");
    const TempFolder memory;
    const auto heads = sumdb::HeadStore::open(memory.path("head"), database_.key());
    for (const ToolchainId& id : ids_) {
      if (!sumdb::verified_sum(database_, **heads, "golang.org/toolchain", id.module_version())) {
        throw std::runtime_error("the test's database does not prove " + id.name());
      }
    }
    const auto asked = database_.asked;
    for (const std::string& path : asked) write_file(base + path, *database_.read(path));
  }

  [[nodiscard]] std::string url() const { return "file://" + folder_; }

 private:
  std::string folder_;
  sumdb::testing::TestDatabase& database_;
  std::vector<ToolchainId> ids_;
};

}  // namespace gobuildenv::agent::testing
