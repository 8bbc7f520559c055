#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "agent/sumdb/error.hpp"

namespace gobuildenv::agent::sumdb {

/// Reads a checksum database's files, wherever they come from. Nothing it gives is believed.
class Reader {
 public:
  virtual ~Reader() = default;
  Reader() = default;
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  /// The content of "/lookup/…", "/tile/8/…" or "/latest". Error kinds: NotFound, Unreachable.
  virtual tl::expected<std::string, Error> read(std::string_view path) = 0;
};

}  // namespace gobuildenv::agent::sumdb
