#pragma once

#include <cstdint>
#include <string>

#include "agent/collector/fd.hpp"

/// How large the next layer of a cache may become. `maxSize` is for modules and build outputs
/// together, as the collector counts them; what promotions add beyond it, the collector would take,
/// and they would add it again.
namespace gobuildenv::agent {

/// Of `all` bytes, for one kind while the other's newest layer takes `sibling`: a tenth is left to
/// folders, locks and the last module's size; neither kind gets less than a quarter of the rest,
/// nor, if `shared`, more than three, which leaves the other its quarter.
[[nodiscard]] std::uint64_t layer_room(std::uint64_t all, std::uint64_t sibling, bool shared);

/// What the newest layer of the other kind of `cache` ("caches/<namespace uid>/<owner>/mod") takes
/// of the disk. Zero: it has none, or it cannot be read.
[[nodiscard]] std::uint64_t sibling_bytes(const collector::Fd& root, const std::string& cache);

}  // namespace gobuildenv::agent
