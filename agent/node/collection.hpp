#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/collector/agent_facts.hpp"
#include "agent/collector/collector.hpp"
#include "agent/csi/volume_registry.hpp"
#include "agent/node/collection_triggers.hpp"
#include "kube/clock.hpp"
#include "kube/metrics.hpp"

/// The collector as the agent runs it: when, with which limits and roots, and what it tells.
namespace gobuildenv::agent {

inline constexpr std::size_t kUnitKinds = 7;  ///< values of collector::UnitKind

/// What there is of one kind of unit.
struct KindTotals {
  std::uint64_t units = 0;
  collector::Totals size;
};

/// One decision of the last run, for people.
struct ExplainedUnit {
  std::string unit;  ///< Unit::id(), printable
  collector::UnitKind kind = collector::UnitKind::Toolchain;
  bool went = false;
  std::uint64_t bytes = 0;
  std::string why;  ///< a sentence
};

/// What is known of the node's disk since the last look. Never changed once given out.
struct CollectionState {
  /// Of `units` only toolchains and what environments' generations and pods hold whole: modules and
  /// build entries may be tens of thousands and are in `kinds` and `environments`.
  collector::Inventory inventory;
  std::array<KindTotals, kUnitKinds> kinds{};  ///< by collector::UnitKind; builds: in sizes alone
  collector::Disk disk;
  std::optional<std::chrono::system_clock::time_point> last_run;   ///< ended then
  std::optional<std::chrono::system_clock::time_point> looked_at;  ///< `inventory` is of then
  collector::Totals freed_last;   ///< by the last run that took something
  collector::Totals freed_total;  ///< since the agent started
  bool short_of_space = false;    ///< the last run could not make the room that is needed
  /// The largest units of the last run: first those that went, then those that stay.
  std::vector<ExplainedUnit> explained;
  /// For conditions: a CamelCase reason (DiskFull, ReadOnlyFileSystem, IOError) and a sentence.
  std::optional<std::pair<std::string, std::string>> problem;
};

/// What only the cluster knows. Thread-safe.
class ClusterNeeds {
 public:
  virtual ~ClusterNeeds() = default;
  ClusterNeeds() = default;
  ClusterNeeds(const ClusterNeeds&) = delete;
  ClusterNeeds& operator=(const ClusterNeeds&) = delete;

  /// Whether it has been listed; before, only a full disk makes a run, by what was known last.
  [[nodiscard]] virtual bool known() const = 0;
  /// Before each run, on the collector's thread; may ask the API server.
  virtual void refresh() = 0;
  /// Revisions in specs, and pods of this node whose volumes are not in `records` yet. Cheap.
  [[nodiscard]] virtual std::vector<collector::Root> roots(
      const std::vector<VolumeRecord>& records) const = 0;
  /// All that pods of this node and environments ask for, to be remembered across a restart.
  [[nodiscard]] virtual collector::LastKnown wanted() const = 0;
  /// `node` with what environments say of themselves.
  [[nodiscard]] virtual collector::Limits limits(collector::Limits node) const = 0;
};

struct CollectionOptions {
  std::string root;      ///< absolute
  std::string pods_dir;  ///< the kubelet's folder of pods, absolute
  /// Of the node; limits of environments come from the cluster.
  collector::Limits limits;
  TriggerOptions triggers;
  std::function<collector::ClockReading()> clocks = collector::read_clocks;
};

/// All of it outlives the Collection.
struct CollectionEdges {
  kube::Clock& clock;
  kube::Metrics& metrics;
  VolumeRegistry& registry;
  const collector::Leases& leases;
  ClusterNeeds* cluster = nullptr;  ///< null: there is none; volumes and leases are all roots
  std::function<void()> trashed;    ///< there is something in the trash; may be empty
};

/// Thread-safe. Owns a thread at idle priority.
class Collection {
 public:
  /// Opens the root and its ages. Error: a sentence with the path.
  static tl::expected<std::unique_ptr<Collection>, std::string> open(CollectionOptions options,
                                                                     CollectionEdges edges);
  ~Collection();
  Collection(const Collection&) = delete;
  Collection& operator=(const Collection&) = delete;

  /// Starts the thread; the first run comes after TriggerOptions::settle.
  void start();
  /// Ends the thread after the unit it is taking away.
  void stop();

  /// Null before the first look at the disk, which follows start() at once.
  [[nodiscard]] std::shared_ptr<const CollectionState> latest() const;
  /// Called on the collector's thread after each change of latest(); before start() only.
  void on_change(std::function<void()> handler);

  /// Volumes, pods or specs are other ones now: sizes are measured soon, and runs go on.
  void changed();
  /// A unit (its path below the root) has just been used.
  void used(const std::string& unit);

 private:
  struct Impl;
  explicit Collection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gobuildenv::agent
