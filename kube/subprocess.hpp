#pragma once

#include <cstddef>
#include <string>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "kube/http.hpp"

namespace gobuildenv::kube {

struct Command {
  std::vector<std::string> argv;  ///< argv[0] without a slash is looked up in PATH
  std::vector<std::pair<std::string, std::string>> env;  ///< added to our environment, wins over it
  Deadline deadline{};
  std::size_t max_output = std::size_t{1} << 20U;  ///< bytes of standard output
};

struct CommandError {
  enum class Kind { NotFound, Timeout, TooLarge, Failed } kind = Kind::Failed;
  std::string message;  ///< without output: it may hold credentials
};

/// Runs a program in a process group of its own, with nothing on standard input, and gives what it
/// wrote to standard output. Its standard error is ours. At the deadline the group is killed; when
/// this returns no child of it is left unwaited for. An exit code other than 0 is Kind::Failed.
[[nodiscard]] tl::expected<std::string, CommandError> run_command(const Command& command);

}  // namespace gobuildenv::kube
