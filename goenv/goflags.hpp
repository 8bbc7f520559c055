#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "goenv/version.hpp"

/// GOFLAGS: how cmd/go quotes and splits it (cmd/internal/quoted), and which flags it may hold.
namespace gobuildenv::goenv {

/// Splits as go does: fields between white space, a field that *starts* with ' or " runs to the
/// next one of its kind, nothing is unescaped. Error: the quote that is not closed.
tl::expected<std::vector<std::string>, std::string> split_quoted(std::string_view text);

/// The text that split_quoted() gives back as `fields`; also right for CGO_CFLAGS and its kind.
/// Error: which field cannot be written (it holds both kinds of quotes, a control character, or is
/// empty).
tl::expected<std::string, std::string> join_quoted(std::span<const std::string> fields);

/// One flag taken apart: "--ldflags=-s -w" is {"ldflags", "-s -w"}, "-trimpath" has no value.
struct GoFlag {
  std::string_view name;
  std::optional<std::string_view> value;
};

/// Empty when `text` is what go calls a non-flag: no dash, three of them, or no name.
std::optional<GoFlag> parse_flag(std::string_view text);

/// What is wrong with `text` as one item of GOFLAGS for a toolchain `version`, with what to write
/// instead; empty when nothing is. A flag that no go command of that version knows stops every go
/// command, and so do a flag without its value and a malformed boolean. Refused beside those are
/// flags that run other programs or replace sources (-toolexec, -exec, -vettool, -overlay), that
/// make builds or tests do nothing (-n, -c, -list), and those of commands other than builds and
/// tests.
std::optional<std::string> check_flag(std::string_view text,
                                      const std::optional<GoVersion>& version);

/// Whether boolean flag `name` is switched on by `flags` (the last one counts).
bool flag_is_on(std::span<const std::string> flags, std::string_view name);

/// The value of flag `name` in `flags`, the last one; empty when absent.
std::string_view flag_value(std::span<const std::string> flags, std::string_view name);

}  // namespace gobuildenv::goenv
