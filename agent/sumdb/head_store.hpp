#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <tl/expected.hpp>

#include "agent/step_hook.hpp"
#include "agent/sumdb/error.hpp"
#include "agent/sumdb/tree_head.hpp"

namespace gobuildenv::agent::sumdb {

/// The newest head seen, on disk in one file. It only ever grows: a database that later shows
/// another past is found out, over restarts too. Thread-safe; one process at a time.
class HeadStore {
 public:
  /// Reads `path` if it is there and verifies it. A file that does not hold is an error that says
  /// so: to start over without a memory is a person's decision.
  static tl::expected<std::unique_ptr<HeadStore>, Error> open(std::string path, VerifierKey key,
                                                              StepHook hook = {});

  /// Null when none has been seen.
  [[nodiscard]] std::shared_ptr<const SignedHead> current() const;

  /// Keeps `head` if current() is still `seen`; false when somebody was faster. A head that is not
  /// larger than the current one is never kept.
  tl::expected<bool, Error> advance(const std::shared_ptr<const SignedHead>& seen, SignedHead head);

  [[nodiscard]] const VerifierKey& key() const { return key_; }

 private:
  HeadStore(std::string path, VerifierKey key, StepHook hook);
  const std::string path_;
  const VerifierKey key_;
  const StepHook hook_;
  mutable std::mutex mutex_;
  std::shared_ptr<const SignedHead> current_;
};

}  // namespace gobuildenv::agent::sumdb
