#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/collector/policy.hpp"
#include "agent/toolchains/toolchain_id.hpp"
#include "crds/node_cache.hpp"

/// What this node's GoNodeCache should say, from what is known about the node. Pure.
namespace gobuildenv::agent {

/// One toolchain in the store, or one that an environment declares and that is not there yet.
struct ToolchainFact {
  ToolchainId id;
  std::string key;  ///< of the store; empty while the sum is not known
  crds::ToolchainPhase phase = crds::ToolchainPhase::Ready;
  std::string h1;
  std::uint64_t bytes = 0;        ///< Ready: on disk; Fetching: downloaded
  std::uint64_t total_bytes = 0;  ///< Fetching: of the download, 0 while unknown
  std::string reason;             ///< Failed
  std::string message;            ///< Failed
  std::size_t volumes = 0;        ///< that use it
  std::int64_t last_used = 0;     ///< seconds since 1970
};

struct CacheFact {
  std::string namespace_uid;
  std::string environment;
  std::uint64_t bytes = 0;
  std::int64_t last_used = 0;
};

struct NodeCacheFacts {
  std::string agent_version;
  std::vector<ToolchainFact> toolchains;
  bool looked = false;  ///< the disk was; else caches, sizes and decisions stay as they were
  std::vector<CacheFact> caches;
  std::vector<crds::NodeDecision> decisions;  ///< of the last run, those worth telling first
  std::optional<collector::Disk> disk;        ///< empty: not looked at yet
  std::int64_t last_run = 0;                  ///< of the collector, seconds since 1970; 0: none yet
  std::uint64_t freed_last = 0;               ///< bytes, by the last run that took something
  std::uint64_t freed_total = 0;              ///< bytes, since the agent started
  /// The collector's: "DiskFull", "ReadOnlyFileSystem" or "IOError", and a sentence.
  std::optional<std::pair<std::string, std::string>> problem;
  bool registered = false;  ///< the kubelet knows the driver
  std::string registration_error;
  std::int64_t now = 0;  ///< seconds since 1970
};

/// What came before: of an earlier life of the agent, or by the last call.
struct NodeCacheMemory {
  crds::NodeCacheStatus status;
  /// status.collection.reclaimed when the agent started.
  std::int64_t reclaimed_before = 0;
  std::uint64_t freed_seen = 0;  ///< NodeCacheFacts::freed_total of the last call
};

/// The status that the facts amount to. Times of transitions, and what the last collection took,
/// are carried over from `memory`.
[[nodiscard]] crds::NodeCacheStatus decide_node_cache(const NodeCacheFacts& facts,
                                                      const NodeCacheMemory& memory);

/// Something to tell people by an Event on the object.
struct NodeCacheNote {
  bool warning = false;
  std::string reason;
  /// What it is about, "go1.22.3.linux-amd64": Events of different subjects are different Events.
  std::string subject;
  std::string message;
};

/// What changed between two statuses that were written one after the other. `before` without
/// conditions is of an object that has just been made: only failures are news then.
[[nodiscard]] std::vector<NodeCacheNote> note_changes(const crds::NodeCacheStatus& before,
                                                      const crds::NodeCacheStatus& after);

}  // namespace gobuildenv::agent
