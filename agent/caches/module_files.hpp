#pragma once

#include <map>
#include <string>
#include <system_error>

#include "agent/caches/files.hpp"

namespace gobuildenv::agent {

/// Which files of a module version a cache has, at "cache/download/<path>/@v/<version>.<suffix>".
struct ModuleFiles {
  std::string path;     ///< as escaped in the cache
  std::string version;  ///< likewise
  const Fd* cache = nullptr;
  bool info = false;
  bool mod = false;
  bool zip = false;
  bool ziphash = false;
  std::int64_t modified = 0;  ///< of its `.mod`, ns since 1970: when it came into a layer

  [[nodiscard]] bool complete() const { return zip && ziphash; }
  [[nodiscard]] std::string folder() const { return "cache/download/" + path + "/@v"; }
  [[nodiscard]] std::string extracted() const { return path + "@" + version; }
};

/// By extracted().
using ModuleList = std::map<std::string, ModuleFiles, std::less<>>;

/// Adds what `cache` has to `out`: modules with a `.mod`, or whole but for it. A module that is in
/// it already keeps the more complete files. Only names that go gives are looked at: no list, no
/// lock, no tiles of a checksum database, no clones. Error: the cache cannot be read, or `out` has
/// `limit` entries.
[[nodiscard]] std::error_code list_modules(const Fd& cache, ModuleList& out, std::size_t limit);

}  // namespace gobuildenv::agent
