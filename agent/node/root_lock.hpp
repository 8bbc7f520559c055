#pragma once

#include <chrono>
#include <string>
#include <tl/expected.hpp>

#include "agent/unique_fd.hpp"
#include "kube/clock.hpp"

namespace gobuildenv::agent {

/// The right to change a root: one process at a time, until it ends, however it ends (flock(2) on
/// `<root>/agent.lock`).
class RootLock {
 public:
  /// Waits at most `patience` for another agent to end: an upgrade may start the new one while the
  /// old one is being killed. The error says which folder is taken.
  static tl::expected<RootLock, std::string> take(const std::string& root,
                                                  std::chrono::milliseconds patience,
                                                  kube::Clock& clock);

 private:
  explicit RootLock(UniqueFd file) : file_(std::move(file)) {}
  UniqueFd file_;
};

}  // namespace gobuildenv::agent
