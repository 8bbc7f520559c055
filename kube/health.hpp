#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gobuildenv::kube {

/// Gives a sentence when the check fails, nothing when it passes. Must be quick: it runs on the
/// probe server's only thread.
using HealthCheck = std::function<std::optional<std::string>()>;

/// What a probe path answers.
struct HealthAnswer {
  int status = 200;  ///< 200, 500 when a check fails, 404 for an unknown check
  std::string body;  ///< text/plain
};

/// The checks behind one of /healthz and /readyz. Thread-safe. Without any check it passes.
class HealthChecks {
 public:
  /// `name` is the prefix of the paths without slash: "healthz" or "readyz".
  explicit HealthChecks(std::string name) : name_(std::move(name)) {}

  /// `check` is at `/<name>/<check_name>` and part of `/<name>`. Adding a name again replaces it.
  void add(std::string check_name, HealthCheck check);

  /// Answers `target`, path and query: `/<name>` and `/<name>?verbose`, `/<name>/<check>`,
  /// `?exclude=<check>` (repeatable), as Kubernetes components do. Reasons are only in the verbose
  /// form and on failure.
  [[nodiscard]] HealthAnswer answer(std::string_view target) const;

 private:
  const std::string name_;
  mutable std::mutex mutex_;
  std::vector<std::pair<std::string, HealthCheck>> checks_;
};

}  // namespace gobuildenv::kube
