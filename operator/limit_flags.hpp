#pragma once

#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "agent/collector/policy.hpp"

namespace CLI {
class App;
}

namespace gobuildenv::cli {

/// The collector's limits as given on a command line; what is not given stays as it is.
struct LimitFlags {
  std::optional<std::string> unused_for;
  std::optional<std::string> max_size;
  std::optional<std::string> min_idle;
  std::optional<unsigned> high;
  std::optional<unsigned> low;
  std::optional<std::string> order;
};

/// Adds --unused-for, --max-size, --min-idle, --high, --low and --order in help group `group`.
void add_limit_flags(CLI::App& app, LimitFlags& flags, const std::string& group);

/// `limits` with what `flags` say; --unused-for and --max-size go for its environments, too. Error:
/// flag, value and fix.
[[nodiscard]] tl::expected<agent::collector::Limits, std::string> apply_limits(
    const LimitFlags& flags, agent::collector::Limits limits);

}  // namespace gobuildenv::cli
