#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "agent/sumdb/error.hpp"

namespace gobuildenv::agent::sumdb {

/// An answer to /lookup/<module>@<version>: a record and a signed head of a tree that holds it.
struct Lookup {
  std::uint64_t id = 0;
  std::string text;  ///< the record, lines as in go.sum
  std::string note;  ///< the signed head
};

[[nodiscard]] tl::expected<Lookup, Error> parse_lookup(std::string_view answer);

/// Path to ask for a module's record. Capitals are written "!a" (module.EscapePath); Malformed when
/// module or version hold characters neither may have.
[[nodiscard]] tl::expected<std::string, Error> lookup_path(std::string_view module,
                                                           std::string_view version);

/// The sum of the module's content ("h1:…") in a record's text. NotFound when there is none;
/// Malformed when there are two different ones or it is no h1 sum.
[[nodiscard]] tl::expected<std::string, Error> sum_in_record(std::string_view text,
                                                             std::string_view module,
                                                             std::string_view version);

}  // namespace gobuildenv::agent::sumdb
