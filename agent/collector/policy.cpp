#include "agent/collector/policy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace gobuildenv::agent::collector {

namespace {

constexpr seconds kStampInterval =
    std::chrono::hours(1);  // of cmd/go/internal/cache: mtimeInterval

/// Bytes or inodes that are over `percent` of what there is.
std::uint64_t over(std::uint64_t all, std::uint64_t free, std::uint64_t leaving, unsigned percent) {
  const std::uint64_t used = all - std::min(all, free);
  const std::uint64_t after = used - std::min(used, leaving);
  const std::uint64_t allowed = all / 100 * percent + all % 100 * percent / 100;
  return after > allowed ? after - allowed : 0;
}

/// Nothing younger goes, whatever the pressure.
seconds youngest(const Unit& unit, const Limits& limits) {
  if (unit.kind != UnitKind::Builds) return limits.min_idle;
  return std::max(limits.min_idle, kStampInterval + limits.longest_build);
}

/// Most of what it holds stays on the disk without it: an older layer, held by a pod, has the same
/// files. A whole cache would go so, and give no room.
bool gives_little(const Unit& unit) { return unit.shared_bytes > unit.size.bytes; }

/// Whether `path` is `root` or lies in it.
bool covers(std::string_view root, std::string_view path) {
  if (!path.starts_with(root)) return false;
  return path.size() == root.size() || root.empty() || path[root.size()] == '/';
}

class Planner {
 public:
  Planner(const Inventory& inventory, const std::vector<Root>& roots, const Limits& limits,
          const Disk& disk, double inflation)
      : inventory_(inventory), limits_(limits), disk_(disk), states_(inventory.units.size()) {
    plan_.inflation = inflation;
    for (std::size_t i = 0; i < states_.size(); ++i) judge(i, roots);
    order_.resize(states_.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::sort(order_.begin(), order_.end(),
              [this](std::size_t a, std::size_t b) { return before(a, b); });
  }

  Plan run() {
    by_age();
    for (const auto& [environment, total] : inventory_.environments) by_size(environment, total);
    by_disk(Reason::DiskBytes);
    by_disk(Reason::DiskInodes);
    finish();
    return std::move(plan_);
  }

 private:
  struct State {
    Reason stays = Reason::WithinLimits;
    std::string detail;
    bool may_go = false;  ///< no root, not too young
    bool zip_gone = false;
    bool gone = false;
  };

  const Unit& unit(std::size_t i) const { return inventory_.units[i]; }

  void judge(std::size_t i, const std::vector<Root>& roots) {
    State& state = states_[i];
    if (const Root* root = root_of(unit(i), roots)) {
      state.stays = Reason::Rooted;
      state.detail = root->why;
    } else if (unit(i).idle < youngest(unit(i), limits_)) {
      state.stays = unit(i).incomplete ? Reason::Incomplete : Reason::RecentlyUsed;
    } else {
      state.may_go = true;
    }
  }

  /// Which goes first. Ends in the path, so that the order is total and the same in every run.
  bool before(std::size_t a, std::size_t b) const {
    const Unit& x = unit(a);
    const Unit& y = unit(b);
    if (limits_.order == Order::GreedyDualSizeFrequency && x.credit != y.credit) {
      return x.credit < y.credit;
    }
    if (x.idle != y.idle) return x.idle > y.idle;
    if (x.path != y.path) return x.path < y.path;
    return a < b;
  }

  void take(std::size_t i, Reason reason) {
    State& state = states_[i];
    const Unit& u = unit(i);
    const std::uint64_t zip = state.zip_gone ? u.zip_bytes : 0;
    const std::uint64_t zip_inodes = state.zip_gone ? 1 : 0;
    const Totals gives{u.size.bytes - std::min(u.size.bytes, zip),
                       u.size.inodes - std::min(u.size.inodes, zip_inodes)};
    state.gone = true;
    plan_.steps.push_back({i, Action::Collect, reason, {}});
    plan_.planned += gives;
    freed_[u.environment] += gives.bytes;
    plan_.inflation = std::max(plan_.inflation, u.credit);
  }

  void drop_zip(std::size_t i, Reason reason) {
    states_[i].zip_gone = true;
    plan_.steps.push_back({i, Action::DropZip, reason, {}});
    plan_.planned += Totals{unit(i).zip_bytes, 1};
    freed_[unit(i).environment] += unit(i).zip_bytes;
  }

  void by_age() {
    for (const std::size_t i : order_) {
      if (!states_[i].may_go) continue;
      const Unit& u = unit(i);
      if (u.kind == UnitKind::Generation && !u.orphaned) {
        take(i, Reason::Replaced);
      } else if (u.kind == UnitKind::Private) {
        take(i, Reason::Abandoned);
      } else if (goes_in(u, limits_) == seconds(0)) {
        take(i, u.kind == UnitKind::Promotion ? Reason::Stuck : Reason::Unused);
      }
    }
  }

  /// Zips first, then units, while `needed` says so.
  template <class Wanted, class Needed>
  bool free_space(Reason reason, Wanted&& wanted, Needed&& needed) {
    const auto eligible = [&](std::size_t i) {
      return states_[i].may_go && !states_[i].gone && !gives_little(unit(i)) && wanted(unit(i));
    };
    for (const std::size_t i : order_) {
      if (!needed()) return true;
      if (eligible(i) && !states_[i].zip_gone && unit(i).zip_bytes > 0) drop_zip(i, reason);
    }
    for (const std::size_t i : order_) {
      if (!needed()) return true;
      if (eligible(i)) take(i, reason);
    }
    return !needed();
  }

  void by_size(const std::string& environment, const Totals& total) {
    const std::uint64_t allowed = limits_.of(environment).max_bytes;
    const auto needed = [&] {
      const auto it = freed_.find(environment);
      const std::uint64_t freed = it == freed_.end() ? 0 : it->second;
      return total.bytes - std::min(total.bytes, freed) > allowed;
    };
    if (!needed()) return;
    const auto mine = [&](const Unit& u) { return u.environment == environment; };
    const bool enough = free_space(Reason::EnvironmentSize, mine, needed);
    pressed_environments_[environment] = true;
    plan_.short_of_space |= !enough;
  }

  void by_disk(Reason reason) {
    const bool bytes = reason == Reason::DiskBytes;
    const std::uint64_t all = bytes ? disk_.bytes : disk_.inodes;
    if (all == 0) return;
    const std::uint64_t free = bytes ? disk_.bytes_free : disk_.inodes_free;
    const auto leaving = [&] {
      return bytes ? inventory_.trash.bytes + plan_.planned.bytes
                   : inventory_.trash.inodes + plan_.planned.inodes;
    };
    if (over(all, free, leaving(), limits_.high_percent) == 0) return;
    pressed_ = true;
    const auto needed = [&] { return over(all, free, leaving(), limits_.low_percent) > 0; };
    const bool enough = free_space(
        reason, [](const Unit&) { return true; }, needed);
    plan_.short_of_space |= !enough;
  }

  void finish() {
    // A unit that goes after its zip went needs no step for the zip.
    std::erase_if(plan_.steps, [this](const Decision& step) {
      return step.action == Action::DropZip && states_[step.unit].gone;
    });
    for (std::size_t i = 0; i < states_.size(); ++i) {
      if (states_[i].gone || states_[i].zip_gone) continue;
      Reason reason = states_[i].stays;
      const bool pressed = pressed_ || pressed_environments_.contains(unit(i).environment);
      if (reason == Reason::WithinLimits && pressed) {
        reason = gives_little(unit(i)) ? Reason::SharedFiles : Reason::LimitReached;
      }
      plan_.stays.push_back({i, Action::Keep, reason, std::move(states_[i].detail)});
    }
  }

  const Inventory& inventory_;
  const Limits& limits_;
  const Disk& disk_;
  std::vector<State> states_;
  std::vector<std::size_t> order_;
  std::map<std::string, std::uint64_t, std::less<>> freed_;
  std::map<std::string, bool, std::less<>> pressed_environments_;
  bool pressed_ = false;
  Plan plan_;
};

}  // namespace

const Retention& Limits::of(const std::string& environment) const {
  const auto it = environments.find(environment);
  return it == environments.end() ? node : it->second;
}

std::optional<std::string> Limits::error() const {
  if (high_percent > 100 || low_percent > high_percent) {
    return fmt::format(
        "watermarks: high is {} %, low is {} %; low must not be above high, nor high above 100",
        high_percent, low_percent);
  }
  if (min_idle < seconds(0) || longest_build < seconds(0)) {
    return fmt::format("min idle is {} s, longest build is {} s; neither may be negative",
                       min_idle.count(), longest_build.count());
  }
  return std::nullopt;
}

seconds goes_after(const Unit& unit, const Limits& limits) {
  const seconds floor = youngest(unit, limits);
  if (unit.kind == UnitKind::Promotion) return std::max(floor, kStuckAfter);
  const bool left_over =
      unit.kind == UnitKind::Private || (unit.kind == UnitKind::Generation && !unit.orphaned);
  return left_over ? floor : std::max(floor, limits.of(unit.environment).unused_for);
}

seconds goes_in(const Unit& unit, const Limits& limits) {
  const seconds cache_goes = std::max(limits.min_idle, limits.of(unit.environment).unused_for);
  const seconds own = std::max(seconds(0), goes_after(unit, limits) - unit.idle);
  return unit.cache_idle >= cache_goes ? own : std::max(own, cache_goes - unit.cache_idle);
}

const Root* root_of(const Unit& unit, const std::vector<Root>& roots) {
  const auto it = std::find_if(roots.begin(), roots.end(), [&](const Root& root) {
    return covers(root.path, unit.path) || covers(unit.path, root.path);
  });
  return it == roots.end() ? nullptr : &*it;
}

Plan plan(const Inventory& inventory, const std::vector<Root>& roots, const Limits& limits,
          const Disk& disk, double inflation) {
  return Planner(inventory, roots, limits, disk, inflation).run();
}

}  // namespace gobuildenv::agent::collector
