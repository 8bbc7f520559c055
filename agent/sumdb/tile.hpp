#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "agent/sumdb/error.hpp"
#include "agent/sumdb/hash.hpp"

/// Tiles: the tree's hashes in files of up to 256 (https://research.swtch.com/tlog, "Tiling a
/// log").
namespace gobuildenv::agent::sumdb {

inline constexpr unsigned kTileHeight = 8;
inline constexpr std::uint64_t kTileWidth = 1U << kTileHeight;

/// The hashes of the nodes `index`·256 … `index`·256 + `width` − 1 in level 8·`level` of the tree;
/// level 0 is the records'.
struct TileId {
  unsigned level = 0;
  std::uint64_t index = 0;
  std::uint64_t width = kTileWidth;  ///< 1 … 256; below 256 it is the last of its level

  friend auto operator<=>(const TileId&, const TileId&) = default;
  [[nodiscard]] bool full() const { return width == kTileWidth; }
  /// "/tile/8/<level>/x001/x234/067" and, unless full, ".p/<width>".
  [[nodiscard]] std::string path() const;
};

/// Reads a tile's bytes: exactly `width` hashes.
[[nodiscard]] tl::expected<std::vector<Hash>, Error> parse_tile(std::string_view bytes,
                                                                std::uint64_t width);

}  // namespace gobuildenv::agent::sumdb
