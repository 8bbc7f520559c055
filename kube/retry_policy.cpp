#include "kube/retry_policy.hpp"

#include <algorithm>

namespace gobuildenv::kube {
namespace {

using std::chrono::milliseconds;

constexpr int kMostTries = 10;
/// Somebody above backs off longer and knows better when the server is simply not there.
constexpr int kMostTriesWithoutAnswer = 3;
constexpr milliseconds kFirst{50};
constexpr milliseconds kLongest{2000};

}  // namespace

std::optional<milliseconds> retry_after_failure(const RetryInput& input) {
  const Error& error = *input.error;
  const bool no_answer = error.code == 0;
  if (error.kind != Error::Kind::Retry) {
    return std::nullopt;
  }
  if (no_answer ? input.method != Method::Get || input.tries >= kMostTriesWithoutAnswer
                : !error.retry_after || input.tries >= kMostTries) {
    return std::nullopt;
  }
  milliseconds wait = std::min(kLongest, kFirst * (1 << std::clamp(input.tries - 1, 0, 6)));
  if (!no_answer) {
    wait = std::max(wait, milliseconds(*error.retry_after));
  }
  return wait +
         milliseconds(static_cast<long>(static_cast<double>(wait.count()) * input.random / 10));
}

}  // namespace gobuildenv::kube
