#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "agent/collector/node_time.hpp"

/// When each unit was last used, across restarts: the content of ages.json. Pure.
namespace gobuildenv::agent::collector {

struct Age {
  seconds used_at{0};      ///< node time of the last known use
  std::uint32_t uses = 0;  ///< observations that saw a new use
  std::int64_t stamp = 0;  ///< the file system's stamp that was seen then; 0: none
  double credit = 0;       ///< of GreedyDual-Size-Frequency, as of the last use
  /// A root protected it when it was last observed: however long, that is one use. Not saved.
  bool held = false;
  friend bool operator==(const Age&, const Age&) = default;
};

/// What one scan saw of a unit.
struct Observation {
  bool in_use = false;     ///< a root protects it now
  std::int64_t stamp = 0;  ///< wall time in ns that the file system kept of its last use; 0: none
  double value = 0;        ///< refetch cost over size, for `credit`
};

class AgeBook {
 public:
  NodeTime time;
  /// GreedyDual's inflation: the credit of the last unit that was collected.
  double inflation = 0;

  /// Records an observation of `unit` and gives its age. A unit never seen before counts as used
  /// now: an age that was lost must not delete anything.
  const Age& observe(const std::string& unit, const Observation& seen);

  /// A use that is known from elsewhere, such as a volume being published.
  void used(const std::string& unit, double value = 0);

  /// The stamp of a known use is now `stamp`: the probe was armed.
  void remember_stamp(const std::string& unit, std::int64_t stamp) { ages_[unit].stamp = stamp; }

  void forget(const std::string& unit) { ages_.erase(unit); }
  /// Forgets every unit for which `keep` is false.
  template <class Keep>
  void retain(Keep&& keep) {
    std::erase_if(ages_, [&](const auto& item) { return !keep(item.first); });
  }

  /// Time since the last known use. Zero for a unit that was never observed.
  [[nodiscard]] seconds idle(const std::string& unit) const;
  /// Time since a file was stamped. Empty: the stamp lies in the future.
  [[nodiscard]] std::optional<seconds> idle_of_stamp(std::int64_t wall_ns) const;

  [[nodiscard]] const std::map<std::string, Age>& ages() const { return ages_; }

  /// ages.json. The text may come from an older or newer agent: unknown members are passed over.
  [[nodiscard]] std::string to_json() const;
  static tl::expected<AgeBook, std::string> from_json(std::string_view text);

 private:
  std::map<std::string, Age> ages_;
};

}  // namespace gobuildenv::agent::collector
