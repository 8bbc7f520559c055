#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "crds/gobuildenv.hpp"

/// The wire form of GoNodeCache (gonodecaches.yaml) and its C++ side.
namespace gobuildenv::crds {

inline constexpr std::string_view kNodeCacheKind = "GoNodeCache";
inline constexpr std::string_view kNodeCachePlural = "gonodecaches";

/// Condition types of a GoNodeCache beside kReady. The last three are there only when True.
inline constexpr std::string_view kToolchainsReady = "ToolchainsReady";
inline constexpr std::string_view kDiskFull = "DiskFull";
inline constexpr std::string_view kReadOnlyFileSystem = "ReadOnlyFileSystem";
inline constexpr std::string_view kIoError = "IOError";

/// What the schema allows of each list.
inline constexpr std::size_t kMaxNodeToolchains = 128;
inline constexpr std::size_t kMaxNodeCaches = 128;
inline constexpr std::size_t kMaxNodeDecisions = 16;

enum class ToolchainPhase : std::uint8_t { Ready, Fetching, Failed };

/// Sizes are bytes, times seconds since 1970; 0 is "none", and is not written.
struct NodeToolchain {
  std::string version;  ///< "1.22.3"
  std::string os;
  std::string arch;
  std::string key;  ///< folder in the store; empty while the sum is not known
  ToolchainPhase state = ToolchainPhase::Ready;
  std::string sum;
  std::int64_t size = 0;
  std::int32_t progress = 0;  ///< percent
  std::string reason;
  std::string message;
  std::int32_t volumes = 0;
  std::int64_t last_used = 0;
  friend bool operator==(const NodeToolchain&, const NodeToolchain&) = default;
};

struct NodeCacheSize {
  std::string namespace_uid;
  std::string environment;
  std::int64_t size = 0;
  std::int64_t last_used = 0;
  friend bool operator==(const NodeCacheSize&, const NodeCacheSize&) = default;
};

/// What the collector did with a unit, and why.
struct NodeDecision {
  std::string unit;
  bool removed = false;
  std::int64_t size = 0;
  std::string why;
  friend bool operator==(const NodeDecision&, const NodeDecision&) = default;
};

struct NodeCacheStatus {
  std::string agent_version;
  std::string toolchains_summary;
  std::int64_t size = 0;
  std::vector<NodeToolchain> toolchains;
  std::vector<NodeCacheSize> caches;
  std::int64_t disk_size = 0;
  std::int32_t disk_used_percent = 0;
  std::int32_t inodes_used_percent = 0;
  std::int64_t last_collected = 0;
  std::int64_t collected = 0;
  std::int64_t reclaimed = 0;
  std::vector<NodeDecision> decisions;
  std::vector<Condition> conditions;  ///< observed_generation is not written: there is no spec
  [[nodiscard]] const Condition* find(std::string_view type) const;
  friend bool operator==(const NodeCacheStatus&, const NodeCacheStatus&) = default;
};

struct NodeCache {
  std::string name;
  std::string uid;
  std::string owner_uid;  ///< of the Node that owns it; empty: none does
  NodeCacheStatus status;
};

/// Bytes as people read them in a status, a quantity of at most four or so digits: whole Mi below
/// 10 Gi, whole Gi above, "0" for less than half a Mi.
std::string format_size(std::int64_t bytes);

/// Decodes one object as JSON text. Errors name the field.
tl::expected<NodeCache, Errors> decode_node_cache(std::string_view object_json);

/// The body of a server-side apply that makes the object, owned by the Node of the same name. The
/// garbage collector takes it with the Node.
std::string encode_node_cache(std::string_view node, std::string_view node_uid);

/// The body of a server-side apply on the status subresource. With the object's uid the write fails
/// rather than land on a new object of the same name.
std::string encode_node_cache_status(std::string_view node, std::string_view uid,
                                     const NodeCacheStatus& status);

}  // namespace gobuildenv::crds
