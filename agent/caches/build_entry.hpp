#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/toolchains/h1.hpp"

/// Entries of a GOCACHE (cmd/go/internal/cache/cache.go): "<shard>/<action>-a" is a line that names
/// an output, "<shard>/<output>-d" the output, named by the SHA-256 of its content. Pure.
namespace gobuildenv::agent {

struct BuildEntry {
  Sha256 action{};
  Sha256 output{};
  std::uint64_t size = 0;  ///< of the output
  std::int64_t time = 0;   ///< when it was made, ns since 1970
};

/// Length of an entry's line, newline included; it never varies.
inline constexpr std::size_t kBuildEntrySize = 2 + 1 + 64 + 1 + 64 + 1 + 20 + 1 + 20 + 1;

[[nodiscard]] std::optional<BuildEntry> parse_build_entry(std::string_view line);
[[nodiscard]] std::string to_line(const BuildEntry& entry);

/// "0123…-a" → the action, when that is all the name says; lower case as go writes it.
[[nodiscard]] std::optional<Sha256> action_of_name(std::string_view name);

[[nodiscard]] std::string hex(const Sha256& sum);

}  // namespace gobuildenv::agent
