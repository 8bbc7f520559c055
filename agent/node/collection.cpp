#include "agent/node/collection.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "agent/collector/trash_emptier.hpp"
#include "agent/node/agent_roots.hpp"
#include "agent/node/collection_log.hpp"
#include "agent/node/collection_metrics.hpp"
#include "agent/node/collection_roots.hpp"
#include "agent/node/collection_state.hpp"
#include "agent/node/facts_file.hpp"
#include "agent/node/offline_needs.hpp"

namespace gobuildenv::agent {
namespace {

constexpr std::chrono::seconds kSecond{1};
/// Later than any look that comes anyway; an age may be centuries.
constexpr std::chrono::hours kFar{24 * 365};
}  // namespace

struct Collection::Impl {
  Impl(CollectionOptions given, CollectionEdges given_edges, collector::Collector opened)
      : options(std::move(given)),
        edges(std::move(given_edges)),
        collector(std::move(opened)),
        offline(options.root, options.pods_dir),
        sources(edges, offline),
        metrics(edges.metrics),
        facts(options.root) {}

  [[nodiscard]] bool is_known() const { return edges.cluster == nullptr || edges.cluster->known(); }

  [[nodiscard]] collector::Limits limits_now() const {
    collector::Limits out = is_known() ? options.limits : offline.limits(options.limits);
    out.longest_build = longest_build(edges.registry.records(), edges.clock.wall_now());
    return edges.cluster == nullptr || !is_known() ? out : edges.cluster->limits(std::move(out));
  }

  void loop() {
    collector::become_idle();
    while (const auto turn = wait_for_turn()) {
      try {
        take(*turn);
      } catch (const std::exception& error) {
        fail(error.what());
      }
    }
  }

  /// Nothing: the end. Others' locks are not taken under ours.
  std::optional<Turn> wait_for_turn() {
    for (;;) {
      const bool ready = is_known();
      const bool volumes = !edges.registry.records().empty();
      std::unique_lock lock(mutex);
      if (stopping) return std::nullopt;
      state.ready = ready;
      state.volumes = volumes;
      const Turn turn = next_turn(state, options.triggers, edges.clock.now());
      if (turn.kind != Turn::Kind::Wait) return turn;
      edges.clock.wait_until(lock, wake, turn.until);
    }
  }

  void take(const Turn& turn) {
    switch (turn.kind) {
      case Turn::Kind::Wait:
        return;
      case Turn::Kind::CheckDisk:
        return check_disk();
      case Turn::Kind::Measure:
        return measure();
      case Turn::Kind::Run:
        return run(turn.why);
    }
  }

  void check_disk() {
    const auto disk = collector.disk();
    bool high = false;
    if (disk) {
      high = over_high(*disk, options.limits);
      metrics.disk(*disk);
    }
    write_facts();
    write_kept_records();
    const std::lock_guard lock(mutex);
    state.last_disk_check = edges.clock.now();
    state.over_high = high;
  }

  /// What was reported until now is what the look that begins will see.
  void begin_look(bool is_run) {
    std::vector<std::string> units;
    {
      const std::lock_guard lock(mutex);
      state.changed = false;
      if (is_run) state.changed_since_run = false;
      units.swap(used);
    }
    for (const std::string& unit : units) collector.used(unit);
  }

  void measure() {
    begin_look(false);
    CollectionState next = copy_of_latest();
    if (const auto disk = collector.disk()) next.disk = *disk;
    // What is not known yet holds nothing here: it would make everything young.
    const bool known = is_known();
    collector::Inventory inventory = collector.measure(
        known ? sources.roots() : volume_roots(edges.registry.records()), limits_now());
    next.kinds = totals_by_kind(inventory);
    next.inventory = without_small_units(std::move(inventory));
    next.looked_at = edges.clock.wall_now();
    {
      const std::lock_guard lock(mutex);
      state.last_look = edges.clock.now();
    }
    publish(std::move(next));
  }

  void run(const char* why) {
    begin_look(true);
    const auto began = edges.clock.now();
    if (!is_known()) {
      spdlog::warn(
          "disk is full and the API server has not answered, collecting by what was known");
    } else if (edges.cluster != nullptr) {
      edges.cluster->refresh();
    }
    const collector::Limits limits = limits_now();
    auto report = collector.run(sources, limits);
    if (!report) return fail(report.error());
    const auto now = edges.clock.now();
    const double seconds = std::chrono::duration<double>(now - began).count();
    log_run(*report, limits, why, seconds);
    metrics.run(*report, seconds, edges.clock.wall_now());
    if (report->freed.inodes > 0 && edges.trashed) edges.trashed();
    const auto due = until_due(report->inventory, report->plan, limits);
    {
      const std::lock_guard lock(mutex);
      state.last_run = state.last_look = now;
      state.run_was_vain = report->freed.bytes == 0;
      state.over_high = over_high(report->disk, limits);
      state.due.reset();
      // Ages are whole seconds; a second too early would find nothing.
      if (due) state.due = now + std::min<collector::seconds>(*due, kFar) + kSecond;
    }
    publish(after_run(copy_of_latest(), std::move(*report), limits, edges.clock.wall_now()));
  }

  void fail(const std::string& error) {
    spdlog::warn("collector cannot run error=\"{}\"", error);
    metrics.run_failed();
    CollectionState next = copy_of_latest();
    next.problem = {"IOError", error};
    {
      const std::lock_guard lock(mutex);
      state.last_run = state.last_look = state.last_disk_check = edges.clock.now();
      state.run_was_vain = true;
    }
    publish(std::move(next));
  }

  [[nodiscard]] CollectionState copy_of_latest() const {
    const std::lock_guard lock(mutex);
    return latest ? *latest : CollectionState();
  }

  void publish(CollectionState next) {
    metrics.look(next);
    auto shared = std::make_shared<const CollectionState>(std::move(next));
    {
      const std::lock_guard lock(mutex);
      latest = std::move(shared);
    }
    write_facts();
    for (const auto& handler : handlers) handler();
  }

  void write_facts() {
    if (!is_known()) return;
    const auto now = edges.clock.wall_now().time_since_epoch();
    facts.update({.written_at = std::chrono::duration_cast<std::chrono::seconds>(now).count(),
                  .limits = limits_now(),
                  .roots = sources.beside_volumes(),
                  .last_known = edges.cluster == nullptr ? std::nullopt
                                                         : std::optional(edges.cluster->wanted())});
  }

  /// Of volumes that were counted while the disk could not be written.
  void write_kept_records() {
    const auto written = edges.registry.write_kept();
    if (written && *written > 0) spdlog::info("volume records written late count={}", *written);
    std::string error = written ? std::string() : written.error();
    // It is tried every few seconds, and is the same until somebody repairs the disk.
    if (!error.empty() && error != kept_error) {
      spdlog::warn("volume records cannot be written and stay in memory error=\"{}\"", error);
    }
    kept_error = std::move(error);
  }

  const CollectionOptions options;
  const CollectionEdges edges;
  collector::Collector collector;
  const OfflineNeeds offline;
  AgentRoots sources;
  const CollectionMetrics metrics;
  std::vector<std::function<void()>> handlers;
  FactsFile facts;
  std::string kept_error;  ///< of the last look; of the thread

  mutable std::mutex mutex;
  std::condition_variable wake;
  TriggerState state;             ///< guarded, like what follows
  std::vector<std::string> used;  ///< for the next look
  std::shared_ptr<const CollectionState> latest;
  bool stopping = false;
  std::thread thread;
};

Collection::Collection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Collection::~Collection() { stop(); }

tl::expected<std::unique_ptr<Collection>, std::string> Collection::open(CollectionOptions options,
                                                                        CollectionEdges edges) {
  if (auto error = options.limits.error()) return tl::unexpected(*error);
  auto opened =
      collector::Collector::open({.root = options.root, .clock = options.clocks, .hook = {}});
  if (!opened) return tl::unexpected(std::move(opened.error()));
  auto impl = std::make_unique<Impl>(std::move(options), std::move(edges), std::move(*opened));
  return std::unique_ptr<Collection>(new Collection(std::move(impl)));
}

void Collection::start() {
  impl_->state.started = impl_->edges.clock.now();
  impl_->thread = std::thread([this] { impl_->loop(); });
}

void Collection::stop() {
  impl_->sources.stop();
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
}

std::shared_ptr<const CollectionState> Collection::latest() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->latest;
}

void Collection::on_change(std::function<void()> handler) {
  impl_->handlers.push_back(std::move(handler));
}

void Collection::changed() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->state.changed = true;
    impl_->state.changed_since_run = true;
  }
  impl_->wake.notify_all();
}

void Collection::used(const std::string& unit) {
  if (unit.empty()) return;
  const std::lock_guard lock(impl_->mutex);
  impl_->used.push_back(unit);
}

}  // namespace gobuildenv::agent
