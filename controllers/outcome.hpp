#pragma once

#include <string>

#include "kube/controller.hpp"
#include "kube/error.hpp"

namespace gobuildenv::controllers {

/// What a failed call means for the key that is being reconciled. A conflict, or something gone,
/// means that the caches were behind: again, soon. Refused for good: not until the object changes.
inline kube::ReconcileResult outcome(const kube::Error& error) {
  using Kind = kube::Error::Kind;
  using kube::ReconcileResult;
  switch (error.kind) {
    case Kind::ShuttingDown:
      return ReconcileResult::done();  // whoever leads next does it
    case Kind::Invalid:
      return ReconcileResult::final(error.message);
    case Kind::Retry:
      if (error.retry_after) return ReconcileResult::retry_after(*error.retry_after, error.message);
      break;
    case Kind::Forbidden:
      // Nothing can be made in a terminating namespace, ever; missing permissions may be granted.
      if (error.message.find("being terminated") != std::string::npos) {
        return ReconcileResult::final(error.message);
      }
      break;
    case Kind::NotFound:
    case Kind::AlreadyExists:
    case Kind::Conflict:
    case Kind::Gone:
      break;
  }
  return ReconcileResult::retry(error.message);
}

}  // namespace gobuildenv::controllers
