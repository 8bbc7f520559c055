#include "agent/sumdb/tree.hpp"

#include <fmt/format.h>

#include <optional>
#include <span>

namespace gobuildenv::agent::sumdb {
namespace {

using Kind = Error::Kind;

constexpr unsigned kLevels = 64;

tl::unexpected<Error> fail(Kind kind, std::string message) {
  return tl::unexpected(Error{kind, std::move(message)});
}

constexpr std::uint64_t shift_right(std::uint64_t value, unsigned bits) {
  return bits >= kLevels ? 0 : value >> bits;
}

}  // namespace

/// The tile in tile level `level` that holds a node of tree level 8·`level`.
TileId Tree::tile_of(unsigned level, std::uint64_t node) const {
  const std::uint64_t nodes = shift_right(head_.size, level * kTileHeight);
  const std::uint64_t index = node / kTileWidth;
  const bool last = index == nodes / kTileWidth;
  return {level, index, last ? nodes % kTileWidth : kTileWidth};
}

tl::expected<const std::vector<Hash>*, Error> Tree::fetch(const TileId& id) {
  if (const auto known = fetched_.find(id); known != fetched_.end()) return &known->second;
  auto bytes = reader_->read(id.path());
  if (!bytes && bytes.error().kind == Kind::NotFound && !id.full()) {
    // The tile has been completed since, and servers keep only the full one.
    auto full = reader_->read(TileId{id.level, id.index, kTileWidth}.path());
    if (full && full->size() == kTileWidth * sizeof(Hash)) {
      full->resize(id.width * sizeof(Hash));
      bytes = std::move(full);
    }
  }
  if (!bytes) {
    // What a signed head covers exists: a server that lacks it is out of order.
    Error error = bytes.error();
    if (error.kind == Kind::NotFound) error.kind = Kind::Unreachable;
    return tl::unexpected(std::move(error));
  }
  auto hashes = parse_tile(*bytes, id.width);
  if (!hashes) return tl::unexpected(hashes.error());
  return &fetched_.emplace(id, *std::move(hashes)).first->second;
}

tl::expected<const std::vector<Hash>*, Error> Tree::proved_tile(const TileId& id) {
  const auto tile = fetch(id);
  if (!tile || proved_.contains(id)) return tile;
  // Not on the right edge: it is full, and the tile above holds its root.
  const TileId parent = tile_of(id.level + 1, id.index);
  const auto above = proved_tile(parent);
  if (!above) return above;
  if (complete_root(**tile) != (**above)[id.index % kTileWidth]) {
    return fail(Kind::Unverified,
                fmt::format("tile {} does not belong to the signed tree of {} records", id.path(),
                            head_.size));
  }
  proved_.insert(id);
  return tile;
}

template <class TileSource>
tl::expected<Hash, Error> Tree::fold(std::uint64_t size, TileSource tile) {
  std::optional<Hash> root;
  // The tree is the complete subtrees of its size's binary digits, the smallest to the right.
  for (unsigned level = 0; level + 1 < kLevels; ++level) {
    if ((size >> level & 1U) == 0) continue;
    const unsigned inside = level % kTileHeight;
    const std::uint64_t first = ((size >> level) - 1) << inside;
    const auto hashes = tile(tile_of(level / kTileHeight, first));
    if (!hashes) return tl::unexpected(hashes.error());
    const Hash left =
        complete_root(std::span(**hashes).subspan(first % kTileWidth, std::size_t{1} << inside));
    root = root ? node_hash(left, *root) : left;
  }
  return root.value_or(empty_root());
}

tl::expected<Tree, Error> Tree::open(const TreeHead& head, Reader& reader) {
  Tree tree(head, reader);
  std::vector<TileId> edge;
  const auto root = tree.fold(head.size, [&](const TileId& id) {
    edge.push_back(id);
    return tree.fetch(id);
  });
  if (!root) return tl::unexpected(root.error());
  if (*root != head.root) {
    return fail(Kind::Unverified,
                fmt::format("the tiles do not add up to the signed tree of {} records: root {} "
                            "instead of {}",
                            head.size, to_base64(*root), to_base64(head.root)));
  }
  for (const TileId& id : edge) tree.proved_.insert(id);
  return tree;
}

tl::expected<Hash, Error> Tree::record(std::uint64_t id) {
  if (id >= head_.size) {
    return fail(Kind::Unverified,
                fmt::format("record {} is not in the signed tree of {} records", id, head_.size));
  }
  const auto tile = proved_tile(tile_of(0, id));
  if (!tile) return tl::unexpected(tile.error());
  return (**tile)[id % kTileWidth];
}

tl::expected<Hash, Error> Tree::root_at(std::uint64_t size) {
  if (size > head_.size) {
    return fail(Kind::Unverified, fmt::format("{} records are more than the {} of the signed tree",
                                              size, head_.size));
  }
  return fold(size, [this](const TileId& id) { return proved_tile(id); });
}

}  // namespace gobuildenv::agent::sumdb
