#pragma once

#include <string>
#include <system_error>

namespace gobuildenv::agent::sumdb {

/// Why a sum is not known, or not believed.
struct Error {
  enum class Kind {
    Unreachable,  ///< no answer, or one that says nothing: worth another try
    NotFound,     ///< the database (or the proxy before it) has no such record
    Malformed,    ///< the answer is not what the protocol says
    Unverified,   ///< signature or proof does not hold: somebody changed something on the way
    Forked,       ///< two signed heads that contradict each other: the database itself misbehaves
    Disk,         ///< the last head seen cannot be read or kept
  };
  Kind kind = Kind::Unreachable;
  std::string message;
  std::error_code code{};  ///< of Disk: what the system said; none where the file is damaged
};

}  // namespace gobuildenv::agent::sumdb
