#pragma once

#include <string>

namespace gobuildenv::kube {

/// What is wrong with how the API server is to be reached. Holds no credentials.
struct ConfigError {
  std::string file;     ///< or "in-cluster", "KUBECONFIG"
  std::string field;    ///< path in the file, e.g. users[ci].user.exec.command; may be empty
  std::string problem;  ///< what is wrong
  std::string fix;      ///< what to do
  /// "FILE: FIELD: PROBLEM; FIX"
  [[nodiscard]] std::string text() const;
};

}  // namespace gobuildenv::kube
