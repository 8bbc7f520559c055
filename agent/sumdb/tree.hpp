#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <tl/expected.hpp>
#include <vector>

#include "agent/sumdb/error.hpp"
#include "agent/sumdb/hash.hpp"
#include "agent/sumdb/reader.hpp"
#include "agent/sumdb/tile.hpp"
#include "agent/sumdb/tree_head.hpp"

namespace gobuildenv::agent::sumdb {

/// The tree under one head, read tile by tile, each proved to belong to the head before one hash of
/// it is used: the tiles on the right edge together give the root, every other tile's root is a
/// hash in the tile above. So a hash given by it is an inclusion proof, and the root of a part of
/// the tree a consistency proof (RFC 6962, sections 2.1.1 and 2.1.2).
class Tree {
 public:
  /// Reads and proves the right edge. `reader` must outlive the tree.
  static tl::expected<Tree, Error> open(const TreeHead& head, Reader& reader);

  /// Hash of record `id`.
  [[nodiscard]] tl::expected<Hash, Error> record(std::uint64_t id);

  /// The root the tree had when it held its first `size` records; `size` is at most the head's.
  [[nodiscard]] tl::expected<Hash, Error> root_at(std::uint64_t size);

  [[nodiscard]] const TreeHead& head() const { return head_; }

 private:
  Tree(const TreeHead& head, Reader& reader) : head_(head), reader_(&reader) {}
  [[nodiscard]] TileId tile_of(unsigned level, std::uint64_t node) const;
  tl::expected<const std::vector<Hash>*, Error> fetch(const TileId& id);
  tl::expected<const std::vector<Hash>*, Error> proved_tile(const TileId& id);
  /// Root over the first `size` records; `tile` gives the tiles it is made of.
  template <class TileSource>
  tl::expected<Hash, Error> fold(std::uint64_t size, TileSource tile);

  TreeHead head_;
  Reader* reader_;
  std::map<TileId, std::vector<Hash>> fetched_;
  std::set<TileId> proved_;
};

}  // namespace gobuildenv::agent::sumdb
