#pragma once

#include <string>

namespace gobuildenv::agent {

/// Why a toolchain is not in the store.
struct Failure {
  std::string reason;     ///< as ToolchainState::reason
  std::string message;    ///< a sentence, no credentials
  bool may_pass = false;  ///< soon and by itself, as an outage does
};

}  // namespace gobuildenv::agent
