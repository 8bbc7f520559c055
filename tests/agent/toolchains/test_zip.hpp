#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gobuildenv::agent::testing {

/// An entry of a zip file, honest unless told otherwise.
struct TestEntry {
  std::string name;
  std::string content;
  bool deflate = true;
  std::uint16_t mode = 0;                       ///< unix mode with type; 0: none is written
  std::optional<std::uint32_t> claimed_size{};  ///< instead of the content's size
  std::uint16_t flags = 0;
  std::optional<std::uint16_t> method{};
  std::optional<std::uint32_t> offset{};  ///< of the local header, instead of the true one
};

/// The bytes of a zip file.
[[nodiscard]] std::string make_zip(const std::vector<TestEntry>& entries);

/// A small toolchain for "v0.0.1-go<version>.linux-amd64": bin/go is a shell script that prints its
/// version. `extra` is added below the prefix.
[[nodiscard]] std::vector<TestEntry> small_toolchain(const std::string& version,
                                                     const std::vector<TestEntry>& extra = {});

/// h1 of the entries, computed in the plainest way.
[[nodiscard]] std::string h1_of_entries(std::vector<TestEntry> entries);

}  // namespace gobuildenv::agent::testing
