#include "agent/caches/layer_room.hpp"

#include <algorithm>

#include "agent/caches/layers.hpp"
#include "agent/collector/node_time.hpp"
#include "agent/collector/tree_scan.hpp"

namespace gobuildenv::agent {

std::uint64_t layer_room(std::uint64_t all, std::uint64_t sibling, bool shared) {
  const std::uint64_t both = all - all / 10;
  const std::uint64_t least = both / 4;
  const std::uint64_t most = shared || sibling > 0 ? both - least : both;
  return std::clamp(both - std::min(both, sibling), least, most);
}

std::uint64_t sibling_bytes(const collector::Fd& root, const std::string& cache) {
  const auto slash = cache.rfind('/');
  if (slash == std::string::npos) return 0;
  const bool modules = cache.substr(slash + 1) == "mod";
  const std::string layer =
      newest_layer(root, cache.substr(0, slash) + (modules ? "/build" : "/mod"));
  if (layer.empty()) return 0;
  const auto folder = collector::open_folder(root.get(), layer);
  if (!folder) return 0;
  collector::TreeMemo memo;
  return collector::TreeScan(collector::read_clocks().wall_ns).count(*folder, memo).bytes;
}

}  // namespace gobuildenv::agent
