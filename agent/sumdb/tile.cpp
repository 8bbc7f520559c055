#include "agent/sumdb/tile.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace gobuildenv::agent::sumdb {

std::string TileId::path() const {
  constexpr std::uint64_t kBase = 1000;
  std::string number = fmt::format("{:03}", index % kBase);
  for (std::uint64_t rest = index / kBase; rest > 0; rest /= kBase) {
    number = fmt::format("x{:03}/{}", rest % kBase, number);
  }
  std::string path = fmt::format("/tile/{}/{}/{}", kTileHeight, level, number);
  if (!full()) path += fmt::format(".p/{}", width);
  return path;
}

tl::expected<std::vector<Hash>, Error> parse_tile(std::string_view bytes, std::uint64_t width) {
  if (width == 0 || width > kTileWidth || bytes.size() != width * sizeof(Hash)) {
    return tl::unexpected(
        Error{Error::Kind::Malformed,
              fmt::format("a tile of {} hashes has {} bytes", width, bytes.size())});
  }
  std::vector<Hash> hashes(width);
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    const auto from = bytes.substr(i * sizeof(Hash), sizeof(Hash));
    std::copy(from.begin(), from.end(), hashes[i].begin());
  }
  return hashes;
}

}  // namespace gobuildenv::agent::sumdb
