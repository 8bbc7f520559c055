#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "goenv/version.hpp"

namespace gobuildenv::agent {

/// One release of Go for one platform.
struct ToolchainId {
  goenv::GoVersion version;  ///< exact: "1.22.3", not "1.22"
  std::string os = "linux";
  std::string arch = "amd64";

  friend auto operator<=>(const ToolchainId&, const ToolchainId&) = default;

  /// "go1.22.3.linux-amd64": the store's folder.
  [[nodiscard]] std::string name() const;
  /// "v0.0.1-go1.22.3.linux-amd64": the version of module golang.org/toolchain that holds it.
  [[nodiscard]] std::string module_version() const;
};

/// Reads what ToolchainId::name() writes.
[[nodiscard]] std::optional<ToolchainId> parse_toolchain_id(std::string_view name);

/// A sum that a namespace pins in its spec. The toolchain is then private to that namespace: the
/// checksum database was not asked.
struct PinnedSum {
  std::string h1;             ///< "h1:" and the base64 of 32 bytes
  std::string namespace_uid;  ///< the Namespace's metadata.uid

  friend auto operator<=>(const PinnedSum&, const PinnedSum&) = default;
};

/// What somebody wants mounted.
struct ToolchainWant {
  ToolchainId id;
  std::optional<PinnedSum> pinned;  ///< empty: verified by the checksum database, shared by all

  friend auto operator<=>(const ToolchainWant&, const ToolchainWant&) = default;
};

/// The store's folder below the toolchain's: "h1-" and the sum in base64url without padding, before
/// it "ns-<uid>-" for a pinned one. Empty when `h1` is not a sum, or `namespace_uid` is not a word
/// of letters, digits and dashes.
[[nodiscard]] std::string store_key(std::string_view h1, std::string_view namespace_uid);

}  // namespace gobuildenv::agent
