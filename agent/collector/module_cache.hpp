#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/collector/tree_scan.hpp"

/// A GOMODCACHE as the go command lays it out (cmd/go/internal/modfetch/cache.go):
///
///     <path>@<version>/…                                     an extracted module, read-only
///     cache/download/<path>/@v/<version>.{info,mod,zip,ziphash,lock,partial}
///     cache/download/sumdb/…                                 tiles; toolchains need them offline
///     cache/vcs/<hash>{/,.info,.lock}                        bare clones
namespace gobuildenv::agent::collector {

/// A module version, or with `vcs` a bare clone.
struct CachedModule {
  std::string name;  ///< "example.com/m@v1.0.0", as escaped in the cache; or the hash
  bool vcs = false;
  Totals size;                     ///< extracted files, zip and ziphash; .info, .mod and .lock stay
  std::uint64_t zip_bytes = 0;     ///< of a zip beside an extracted module, counted in `size`
  std::uint64_t shared_bytes = 0;  ///< of its files that were counted before, under other names
  bool extracted = false;
  bool partial = false;  ///< .partial is there
  /// When go last opened the ziphash, or the newest stamp there is; wall time in ns.
  std::int64_t used = 0;
};

struct ModuleCacheScan {
  std::vector<CachedModule> modules;
  Totals other;  ///< what no unit holds
};

/// Memos of the extracted trees, by module name.
using ModuleMemos = std::map<std::string, TreeMemo, std::less<>>;

/// Scans the module cache `dir`; `memos` are replaced. A cached build opens the ziphash of every
/// module it uses, so the access time of that file tells of the last use; reading it here would
/// spoil it, so it is never opened.
[[nodiscard]] ModuleCacheScan scan_module_cache(const Fd& dir, TreeScan& scan, ModuleMemos& memos);

/// Makes the next use of `module` visible under relatime, which updates an access time only when it
/// is not newer than the others: sets it back behind them. Gives the stamp that is now there, 0
/// when it could not be done.
std::int64_t arm_probe(const Fd& dir, std::string_view module);

/// "example.com/m@v1.0.0" → "cache/download/example.com/m/@v/v1.0.0", to which the suffixes are
/// added. Empty for what is no module name.
[[nodiscard]] std::string download_stem(std::string_view module);

}  // namespace gobuildenv::agent::collector
