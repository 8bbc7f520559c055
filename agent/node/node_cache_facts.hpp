#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/csi/volume_record.hpp"
#include "agent/node/collection.hpp"
#include "agent/node/environment_record.hpp"
#include "agent/node/node_cache_status.hpp"
#include "agent/node/prefetcher.hpp"
#include "agent/toolchains/provider.hpp"

namespace gobuildenv::agent {

/// What the node's parts say, as they say it. Pure from here on.
struct NodeCacheSources {
  std::vector<StoredToolchain> stored;
  std::vector<ToolchainProvider::Entry> entries;
  std::vector<VolumeRecord> volumes;
  std::vector<std::shared_ptr<const EnvironmentRecord>> environments;
  PrefetchWaiting waiting;
  unsigned high_percent = 0;                          ///< of collector::Limits, for people
  std::shared_ptr<const CollectionState> collection;  ///< null: nothing was looked at yet
  std::int64_t now = 0;                               ///< seconds since 1970
};

/// Fills in toolchains, caches, disk and what the collector did. What failed, is being fetched, or
/// waits for that, counts while an environment declares it.
[[nodiscard]] NodeCacheFacts node_cache_facts(const NodeCacheSources& sources);

}  // namespace gobuildenv::agent
