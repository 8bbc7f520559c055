#pragma once

#include <chrono>
#include <optional>

#include "kube/error.hpp"
#include "kube/http.hpp"

namespace gobuildenv::kube {

/// One failed try of a request.
struct RetryInput {
  int tries = 1;  ///< made so far, this one included
  Method method = Method::Get;
  const Error* error = nullptr;  ///< code 0: no answer came
  double random = 0;             ///< [0, 1), for jitter
};

/// How long to wait before the next try, or nothing when the error goes to the caller.
///
/// As client-go (rest/with_retry.go): a 429 or 5xx which says Retry-After, whatever the method,
/// since the server says that it did nothing; no answer at all on GET only. At most 10 tries. The
/// wait is what the server asked for, else 50 ms · 2ⁿ up to 2 s, plus up to a tenth of jitter.
[[nodiscard]] std::optional<std::chrono::milliseconds> retry_after_failure(const RetryInput& input);

}  // namespace gobuildenv::kube
