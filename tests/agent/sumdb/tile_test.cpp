#include "agent/sumdb/tile.hpp"

#include <gtest/gtest.h>

namespace gobuildenv::agent::sumdb {
namespace {

TEST(Tile, PathsAreThoseOfTheProtocol) {
  const struct {
    TileId id;
    std::string_view path;
  } kCases[] = {
      {{0, 0, 256}, "/tile/8/0/000"},
      {{0, 5, 1}, "/tile/8/0/005.p/1"},
      {{1, 999, 255}, "/tile/8/1/999.p/255"},
      {{0, 1000, 256}, "/tile/8/0/x001/000"},
      {{0, 1234067, 256}, "/tile/8/0/x001/x234/067"},
      {{3, 1234067, 12}, "/tile/8/3/x001/x234/067.p/12"},
  };
  for (const auto& [id, path] : kCases) EXPECT_EQ(id.path(), path);
}

TEST(Tile, HasExactlyItsWidth) {
  EXPECT_EQ(parse_tile(std::string(64, 'x'), 2)->size(), 2U);
  EXPECT_EQ(parse_tile(std::string(64, 'x'), 2)->at(1)[31], 'x');
  for (const std::size_t size : {0U, 63U, 65U, 32U, 96U}) {
    EXPECT_FALSE(parse_tile(std::string(size, 'x'), 2)) << size;
  }
  EXPECT_FALSE(parse_tile("", 0));
  EXPECT_FALSE(parse_tile(std::string(257 * 32, 'x'), 257));
}

}  // namespace
}  // namespace gobuildenv::agent::sumdb
