#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "goenv/spec.hpp"
#include "kube/client.hpp"
#include "kube/decoded.hpp"

/// What the leader keeps of each GoNodeCache: one pointer, since most nodes hold the same
/// toolchains. 10,000 of them cost little more than their names.
namespace gobuildenv::controllers {

extern const kube::ResourceType kNodeCacheType;

/// What one toolchain on a node counts for: see mark_key().
struct ToolchainMark {
  std::string key;
  bool ready = false;
  std::string reason;  ///< of a failure; empty when ready
  /// What a ready one was verified with; without a sum where the node does not say one.
  goenv::ToolchainSum verified;
  friend auto operator<=>(const ToolchainMark&, const ToolchainMark&) = default;
};

using ToolchainMarks = std::vector<ToolchainMark>;

struct NodeRecord {
  std::shared_ptr<const ToolchainMarks> marks;  ///< never null; shared by nodes that are alike
};

/// "1.22.3" for a toolchain that the checksum database vouches for, "1.22.3 h1:…" for one by its
/// sum: a pinned one is either.
std::string mark_key(std::string_view version, std::string_view sum = {});

/// Decoder for the informer. What is being fetched is no mark: it is neither there nor failed.
tl::expected<kube::Decoded<NodeRecord>, std::string> decode_node(std::string_view json);

}  // namespace gobuildenv::controllers
