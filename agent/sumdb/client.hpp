#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "agent/sumdb/error.hpp"
#include "agent/sumdb/head_store.hpp"
#include "agent/sumdb/reader.hpp"

namespace gobuildenv::agent::sumdb {

/// Asks `reader` for the sum of a module version ("h1:…") and believes the answer when the record
/// is proved to be in a tree that the database has signed and that contains the newest tree seen
/// before, or is contained in it: a proxy may be behind. Two heads that contradict each other are
/// Forked, and the message shows both. The newest head is kept in `heads`.
///
/// Thread-safe if `reader` is. Follows golang.org/design/25530-sumdb, "Checksum Database".
[[nodiscard]] tl::expected<std::string, Error> verified_sum(Reader& reader, HeadStore& heads,
                                                            std::string_view module,
                                                            std::string_view version);

}  // namespace gobuildenv::agent::sumdb
