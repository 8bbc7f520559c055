#include "agent/collector/units.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace gobuildenv::agent::collector {

namespace {
constexpr double kMiB = 1024.0 * 1024.0;
}

std::string_view to_string(UnitKind kind) {
  switch (kind) {
    case UnitKind::Toolchain:
      return "toolchain";
    case UnitKind::Module:
      return "module";
    case UnitKind::Vcs:
      return "vcs";
    case UnitKind::Builds:
      return "builds";
    case UnitKind::Generation:
      return "generation";
    case UnitKind::Private:
      return "private";
    case UnitKind::Promotion:
      return "promotion";
  }
  return "unknown";
}

std::string Unit::id() const {
  if (kind != UnitKind::Builds) return path;
  return fmt::format("{}#{}h", path, std::chrono::duration_cast<std::chrono::hours>(idle).count());
}

double refetch_seconds(UnitKind kind, std::uint64_t bytes) {
  const double mib = static_cast<double>(bytes) / kMiB;
  switch (kind) {
    case UnitKind::Vcs:
      return 1.0 + mib / 2;  // a clone, without the proxy's compression
    case UnitKind::Builds:
      return 0.05 + mib;  // compiled again: about a second for a mebibyte of archives
    default:
      return 0.1 + mib / 20;  // a round trip, then transfer and extraction
  }
}

double refetch_value(UnitKind kind, const Totals& size) {
  const double mib = std::max(static_cast<double>(size.bytes) / kMiB, 1.0 / 256);
  return refetch_seconds(kind, size.bytes) / mib;
}

}  // namespace gobuildenv::agent::collector
