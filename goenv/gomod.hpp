#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gobuildenv::goenv {

/// The lines of a go.mod or go.work that decide which toolchain builds (go.dev/ref/mod). A line
/// that cannot be read is passed over, as everything else in the file: this is for advice, go
/// itself judges the file. Repeated lines, an error for go, count once, the first.
struct GoModFile {
  std::string module;                     ///< go.mod: path of the module
  std::string go;                         ///< "1.22.3"; empty when absent
  std::string toolchain;                  ///< "go1.22.3", "default"; empty when absent
  std::vector<std::string> uses;          ///< go.work: directories of `use`
  std::vector<std::string> requirements;  ///< go.mod: "path version" of every requirement
};

/// Reads the text of go.mod or go.work: comments, blocks in parentheses, "…" and `…` strings, and
/// lines ended by LF or CRLF.
GoModFile parse_go_mod(std::string_view text);

/// The version of go that the file asks for at least, as go selects it: the newer of the `go` and
/// `toolchain` lines (without "go"), "1.16" when neither is there. A bare language version from
/// 1.21 on asks for its first release: "1.25" gives "1.25.0".
std::string required_go(const GoModFile& file);

}  // namespace gobuildenv::goenv
