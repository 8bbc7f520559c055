#include <fmt/format.h>

#include "agent/collector/policy.hpp"
#include "agent/collector/text.hpp"

namespace gobuildenv::agent::collector {

namespace {

unsigned used_percent(std::uint64_t all, std::uint64_t free) {
  if (all == 0) return 0;
  const double used = static_cast<double>(all - std::min(all, free));
  return static_cast<unsigned>(used * 100 / static_cast<double>(all));
}

std::string stays(const Decision& decision, const Unit& unit, const Limits& limits) {
  switch (decision.reason) {
    case Reason::Rooted:
      return "in use: " + printable(decision.detail);
    case Reason::Incomplete:
      return "go is extracting it, or was stopped in that";
    case Reason::RecentlyUsed:
      if (unit.kind == UnitKind::Builds) {
        return fmt::format("used {} ago; build entries stay for an hour and the longest build ({})",
                           duration_text(unit.idle), duration_text(limits.longest_build));
      }
      return fmt::format("used {} ago; nothing goes within {}", duration_text(unit.idle),
                         duration_text(limits.min_idle));
    case Reason::WithinLimits:
      if (unit.kind == UnitKind::Promotion) {
        return fmt::format("waits for its turn, for {}; goes after {}", duration_text(unit.idle),
                           duration_text(goes_after(unit, limits)));
      }
      return fmt::format("used {} ago, kept for {}; no limit asks for it",
                         duration_text(unit.unused()),
                         duration_text(limits.of(unit.environment).unused_for));
    case Reason::SharedFiles:
      return fmt::format(
          "used {} ago; another layer has the same files, so taking it gives no room",
          duration_text(unit.idle));
    default:
      return fmt::format("used {} ago; others gave the space that was needed",
                         duration_text(unit.idle));
  }
}

std::string goes(const Decision& decision, const Unit& unit, const Limits& limits,
                 const Disk& disk) {
  const std::string idle = duration_text(unit.idle);
  switch (decision.reason) {
    case Reason::Unused:
      return fmt::format("unused for {}, kept for {}", duration_text(unit.unused()),
                         duration_text(limits.of(unit.environment).unused_for));
    case Reason::EnvironmentSize:
      return fmt::format("unused for {}; the environment's caches are over {}", idle,
                         size_text(limits.of(unit.environment).max_bytes));
    case Reason::DiskBytes:
      return fmt::format("unused for {}; the disk is {} % full, at {} % space is made down to {} %",
                         idle, used_percent(disk.bytes, disk.bytes_free), limits.high_percent,
                         limits.low_percent);
    case Reason::DiskInodes:
      return fmt::format(
          "unused for {}; {} % of the inodes are taken, at {} % some are freed down to {} %", idle,
          used_percent(disk.inodes, disk.inodes_free), limits.high_percent, limits.low_percent);
    case Reason::Replaced:
      return fmt::format("a newer generation took its place, unused for {}", idle);
    case Reason::Stuck:
      return fmt::format(
          "waits for {}, and nobody said meanwhile whether its pod is trusted; the longest is {}",
          idle, duration_text(goes_after(unit, limits)));
    default:
      return fmt::format("the pod's volume is gone, for {}", idle);
  }
}

}  // namespace

std::string explain(const Decision& decision, const Inventory& inventory, const Limits& limits,
                    const Disk& disk) {
  const Unit& unit = inventory.units[decision.unit];
  if (decision.action == Action::Keep) return stays(decision, unit, limits);
  const std::string why = goes(decision, unit, limits, disk);
  return decision.action == Action::DropZip ? "only the zip, the extracted module stays: " + why
                                            : why;
}

}  // namespace gobuildenv::agent::collector
