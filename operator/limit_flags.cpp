#include "operator/limit_flags.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>

#include "agent/collector/text.hpp"
#include "crds/scalars.hpp"

namespace gobuildenv::cli {
namespace {

namespace gc = agent::collector;

tl::expected<gc::seconds, std::string> duration(const char* flag, const std::string& text) {
  const auto parsed = crds::parse_duration(text);
  if (parsed) return *parsed;
  return tl::unexpected(
      fmt::format("{}: \"{}\" is no duration; write it like 168h or 30m", flag, text));
}

}  // namespace

void add_limit_flags(CLI::App& app, LimitFlags& flags, const std::string& group) {
  const gc::Limits defaults;
  const auto add = [&](auto* option) { return option->group(group); };
  add(app.add_option("--unused-for", flags.unused_for,
                     "keep what was used within this time (default: " +
                         crds::format_duration(defaults.node.unused_for) + ")"));
  add(app.add_option("--max-size", flags.max_size,
                     "of all caches of one environment (default: " +
                         crds::format_quantity(static_cast<std::int64_t>(defaults.node.max_bytes)) +
                         ")"));
  add(app.add_option("--min-idle", flags.min_idle,
                     "nothing used within this time goes, however full the disk is (default: " +
                         crds::format_duration(defaults.min_idle) + ")"));
  add(app.add_option("--high", flags.high,
                     fmt::format("percent of the disk's bytes or inodes from which space is made "
                                 "(default: {})",
                                 defaults.high_percent)));
  add(app.add_option(
      "--low", flags.low,
      fmt::format("percent down to which space is made (default: {})", defaults.low_percent)));
  add(app.add_option("--order", flags.order, "which go first: lru or gdsf (default: gdsf)")
          ->check(CLI::IsMember({"lru", "gdsf"})));
}

tl::expected<gc::Limits, std::string> apply_limits(const LimitFlags& flags, gc::Limits limits) {
  if (flags.unused_for) {
    const auto value = duration("--unused-for", *flags.unused_for);
    if (!value) return tl::unexpected(value.error());
    limits.node.unused_for = *value;
    for (auto& [name, retention] : limits.environments) retention.unused_for = *value;
  }
  if (flags.max_size) {
    const auto value = crds::parse_quantity(*flags.max_size);
    if (!value) {
      return tl::unexpected(
          fmt::format("--max-size: \"{}\" is no size; write it like 20Gi", *flags.max_size));
    }
    limits.node.max_bytes = static_cast<std::uint64_t>(*value);
    for (auto& [name, retention] : limits.environments) {
      retention.max_bytes = limits.node.max_bytes;
    }
  }
  if (flags.min_idle) {
    const auto value = duration("--min-idle", *flags.min_idle);
    if (!value) return tl::unexpected(value.error());
    limits.min_idle = *value;
  }
  if (flags.high) limits.high_percent = *flags.high;
  if (flags.low) limits.low_percent = *flags.low;
  if (flags.order) {
    limits.order =
        *flags.order == "gdsf" ? gc::Order::GreedyDualSizeFrequency : gc::Order::LeastRecentlyUsed;
  }
  if (auto error = limits.error()) return tl::unexpected("--high, --low: " + *error);
  return limits;
}

}  // namespace gobuildenv::cli
