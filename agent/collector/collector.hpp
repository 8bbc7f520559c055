#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "agent/collector/policy.hpp"
#include "agent/collector/remove.hpp"
#include "agent/collector/root_scan.hpp"
#include "agent/step_hook.hpp"

/// One run of the collector: scan, decide, take away. What it takes away is in the trash when run()
/// returns; TrashEmptier gives the space back.
namespace gobuildenv::agent::collector {

/// What the agent knows to be needed, asked when a run begins and again before each unit goes: a
/// volume may have been published in between. Must be cheap and thread-safe.
class RootSource {
 public:
  virtual ~RootSource() = default;
  RootSource() = default;
  RootSource(const RootSource&) = delete;
  RootSource& operator=(const RootSource&) = delete;

  /// Published volumes, pods of this node (pending ones and those with init containers running
  /// included), revisions in specs, leases.
  [[nodiscard]] virtual std::vector<Root> roots() const = 0;

  /// Whether roots() has the volumes, so that their records need not be read before each unit goes.
  [[nodiscard]] virtual bool knows_volumes() const { return false; }

  /// From now on nothing more is to go in this run.
  [[nodiscard]] virtual bool stopping() const { return false; }

  /// Runs `act`, which takes the unit at `path` away, and gives whether it did: no volume uses the
  /// unit, and none comes to use it meanwhile. `act` is quick, and asks nothing of this object.
  virtual bool if_unused(const std::string& /*path*/, const std::function<void()>& act) const {
    act();
    return true;
  }
};

/// Roots of work in progress, such as a toolchain between fetch and mount. Thread-safe.
class Leases {
 public:
  /// Keeps `path` until it is destroyed; must not outlive the Leases it came from.
  class Lease {
   public:
    Lease(Lease&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)), id_(other.id_) {}
    Lease& operator=(Lease&&) = delete;
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease();

   private:
    friend class Leases;
    Lease(Leases* owner, std::uint64_t id) : owner_(owner), id_(id) {}
    Leases* owner_;
    std::uint64_t id_;
  };

  [[nodiscard]] Lease take(std::string path, std::string why);
  void append_to(std::vector<Root>& roots) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::uint64_t, Root> held_;
  std::uint64_t next_ = 0;
};

/// What became of one decision.
struct Outcome {
  std::string unit;  ///< Unit::id()
  Action action = Action::Keep;
  Removal result = Removal::Done;
  Totals freed;
  std::string text;  ///< the decision's explanation, or the failure
};

struct RunReport {
  Inventory inventory;
  Plan plan;
  Disk disk;
  std::vector<Outcome> outcomes;
  Totals freed;
  std::uint64_t failures = 0;
  /// For GoNodeCache's conditions: "DiskFull", "ReadOnlyFileSystem" or "IOError" with a sentence;
  /// nothing when all went well.
  std::optional<std::pair<std::string, std::string>> problem;
};

/// Not thread-safe: one owner. Several processes exclude each other by a lock below the root.
class Collector {
 public:
  struct Config {
    std::string root;  ///< absolute
    std::function<ClockReading()> clock = read_clocks;
    StepHook hook = {};
  };

  /// Opens the root, reads ages.json. A damaged ages.json counts as none: everything is as if used
  /// now. Error: a sentence with the path.
  static tl::expected<Collector, std::string> open(Config config);

  /// What a run would do; changes nothing.
  [[nodiscard]] tl::expected<RunReport, std::string> dry_run(const std::vector<Root>& roots,
                                                             const Limits& limits);

  /// Scans, saves the ages, then removes. Volumes' records on disk are always roots besides
  /// `source`'s. Error: another process is collecting, or the root cannot be read.
  [[nodiscard]] tl::expected<RunReport, std::string> run(const RootSource& source,
                                                         const Limits& limits);

  /// Sizes only, at the price of the folders that have changed. Uses that it sees count.
  [[nodiscard]] Inventory measure(const std::vector<Root>& roots = {}, const Limits& limits = {});

  /// Space and inodes of the root's file system.
  [[nodiscard]] IoResult<Disk> disk() const { return disk_of(root_); }

  /// A unit was used, as the agent knows from elsewhere. Saved with the next run.
  void used(const std::string& path);

  [[nodiscard]] const AgeBook& ages() const { return ages_; }

 private:
  Collector(Config config, Fd root) : config_(std::move(config)), root_(std::move(root)) {}
  [[nodiscard]] std::vector<Root> all_roots(const RootSource& source) const;
  [[nodiscard]] bool in_use_now(const Unit& unit, const RootSource& source) const;
  [[nodiscard]] std::error_code save_ages() const;
  [[nodiscard]] tl::expected<RunReport, std::string> examine(const std::vector<Root>& roots,
                                                             const Limits& limits, bool touch);
  Outcome carry_out(const Decision& decision, const RunReport& report, const Trash& trash,
                    const RootSource& source, const std::map<std::string, seconds>& cuts);
  RemovalResult remove_promotion(const Unit& unit, const Trash& trash);
  RemovalResult remove(const Unit& unit, Action action, const Trash& trash,
                       const RootSource& source);

  Config config_;
  Fd root_;
  AgeBook ages_;
  RootMemo memo_;
};

}  // namespace gobuildenv::agent::collector
