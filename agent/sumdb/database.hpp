#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "agent/sumdb/note.hpp"

namespace gobuildenv::agent::sumdb {

/// Which checksum database is believed, and where it is asked.
struct Database {
  VerifierKey key;
  std::string url;  ///< asked there and nowhere else; empty: through the proxies, else at its name
};

/// Reads a setting in GOSUMDB's form: "NAME", "NAME+ID+KEY" or either followed by a blank and a
/// URL. A bare name must be one that Go's own source knows. Error: a sentence with the fix; "off"
/// is one, since without a database nothing would be verified.
[[nodiscard]] tl::expected<Database, std::string> parse_database(std::string_view text);

/// The verifier key in the source of the Go that this program was built beside; "" when there was
/// none, and then a setting needs a whole key.
[[nodiscard]] std::string_view known_key();

}  // namespace gobuildenv::agent::sumdb
