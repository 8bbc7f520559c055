#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace gobuildenv::kube {

/// What went wrong with a call to the API server, classified once: callers branch on `kind` only.
struct Error {
  enum class Kind {
    NotFound,       ///< 404
    AlreadyExists,  ///< 409 with reason AlreadyExists
    Conflict,       ///< 409 otherwise: read again and decide again
    Gone,           ///< 410, or ResourceVersionTooLarge: list anew
    Invalid,        ///< 400, 415, 422 and other final 4xx: the same request fails again
    Forbidden,      ///< 401 after a credential reread, 403
    Retry,          ///< 429, 5xx, connection failures: later the same request may pass
    ShuttingDown,   ///< our own stop (a request under way may have arrived), or the lease is lost
  };
  Kind kind = Kind::Retry;
  int code = 0;         ///< HTTP status, 0 when there was no answer
  std::string reason;   ///< Status.reason of the API server, may be empty
  std::string message;  ///< for people; never holds credentials
  std::optional<std::chrono::seconds> retry_after;  ///< what the server asked for
};

}  // namespace gobuildenv::kube
