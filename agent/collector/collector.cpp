#include "agent/collector/collector.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include "agent/collector/remove_builds.hpp"
#include "agent/collector/text.hpp"
#include "agent/durable_file.hpp"

namespace gobuildenv::agent::collector {

namespace {

constexpr std::size_t kMaxAges = std::size_t{256} << 20U;

/// The unit's cache, for what lives in one: "caches/…/lower/7" of ".../lower/7/example.com/m@v1".
std::string cache_of(const Unit& unit) {
  // caches/<namespace>/<environment>/<mod|build>/lower/<generation>
  constexpr int kParts = 6;
  std::size_t at = 0;
  for (int i = 0; i < kParts && at != std::string::npos; ++i) {
    at = unit.path.find('/', at + (i == 0 ? 0 : 1));
  }
  return at == std::string::npos ? unit.path : unit.path.substr(0, at);
}

std::pair<std::string, std::string> problem_of(const std::error_code& error,
                                               const std::string& text) {
  if (error == std::errc::no_space_on_device) return {"DiskFull", text};
  if (error == std::errc::read_only_file_system) return {"ReadOnlyFileSystem", text};
  return {"IOError", text};
}

/// `limits` outlive it.
auto orphaned_by(const Limits& limits) {
  return [&limits](const std::string& environment) {
    return limits.environments_complete                ? std::optional(limits.orphaned(environment))
           : limits.environments.contains(environment) ? std::optional(false)
                                                       : std::nullopt;
  };
}

/// Among processes: an agent that is being replaced, and one run by hand.
IoResult<Fd> lock_root(const Fd& root) {
  auto fd = open_beneath(root.get(), "collector.lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
  if (fd && ::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) return tl::unexpected(last_error());
  return fd;
}

}  // namespace

tl::expected<Collector, std::string> Collector::open(Config config) {
  auto root = open_trusted_folder(config.root);
  if (!root) {
    return tl::unexpected(config.root + ": " + root.error().message() +
                          "; want the folder the node agent keeps its store in");
  }
  Collector out(std::move(config), std::move(*root));
  if (const auto text = read_at(out.root_.get(), "ages.json", kMaxAges)) {
    if (auto ages = AgeBook::from_json(*text)) out.ages_ = std::move(*ages);
  }
  return out;
}

void Collector::used(const std::string& path) {
  ages_.time.advance(config_.clock());
  ages_.used(printable(path));
}

std::error_code Collector::save_ages() const {
  return write_durably(config_.root + "/ages.json", ages_.to_json(), config_.hook);
}

Inventory Collector::measure(const std::vector<Root>& roots, const Limits& limits) {
  const ClockReading now = config_.clock();
  ages_.time.advance(now);
  // Probes are armed again: a use that is seen here is old news to the next run.
  return scan_root(root_, roots, ages_, memo_, now.wall_ns,
                   {.depth = Depth::Sizes, .touch = true, .orphaned = orphaned_by(limits)});
}

tl::expected<RunReport, std::string> Collector::examine(const std::vector<Root>& roots,
                                                        const Limits& limits, bool touch) {
  if (auto error = limits.error()) return tl::unexpected(*error);
  const ClockReading now = config_.clock();
  ages_.time.advance(now);
  RunReport report;
  const auto disk = disk_of(root_);
  if (!disk) return tl::unexpected(config_.root + ": " + disk.error().message());
  report.disk = *disk;
  report.inventory =
      scan_root(root_, roots, ages_, memo_, now.wall_ns,
                {.depth = Depth::Uses, .touch = touch, .orphaned = orphaned_by(limits)});
  report.plan = plan(report.inventory, roots, limits, report.disk, ages_.inflation);
  return report;
}

tl::expected<RunReport, std::string> Collector::dry_run(const std::vector<Root>& roots,
                                                        const Limits& limits) {
  std::vector<Root> all = roots_of_volumes(root_);
  all.insert(all.end(), roots.begin(), roots.end());
  return examine(all, limits, false);
}

std::vector<Root> Collector::all_roots(const RootSource& source) const {
  std::vector<Root> out = roots_of_volumes(root_);
  std::vector<Root> more = source.roots();
  out.insert(out.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  return out;
}

bool Collector::in_use_now(const Unit& unit, const RootSource& source) const {
  if (source.stopping()) return true;
  return root_of(unit, source.knows_volumes() ? source.roots() : all_roots(source)) != nullptr;
}

tl::expected<RunReport, std::string> Collector::run(const RootSource& source,
                                                    const Limits& limits) {
  // Where the lock cannot even be made, saving the ages says why.
  const auto lock = lock_root(root_);
  if (!lock && lock.error() == std::errc::operation_would_block) {
    return tl::unexpected(config_.root + ": another process is collecting");
  }
  auto report = examine(all_roots(source), limits, true);
  if (!report) return report;
  if (report->inventory.problems.count > 0) {
    report->problem = {"IOError", report->inventory.problems.first};
  }
  // The ages first: what is not known to be old may have to be looked at for another week. A full
  // disk must not stop the run that makes room on it.
  if (const auto error = save_ages()) {
    report->problem = problem_of(error, config_.root + "/ages.json: " + error.message());
    if (error == std::errc::read_only_file_system) return report;
  }
  step(config_.hook, "ages-saved");
  const auto trash = Trash::open(root_);
  if (!trash) {
    report->problem =
        problem_of(trash.error(), config_.root + "/trash: " + trash.error().message());
    return report;
  }
  std::map<std::string, seconds> cuts;
  for (const Decision& decision : report->plan.steps) {
    const Unit& unit = report->inventory.units[decision.unit];
    if (unit.kind != UnitKind::Builds) continue;
    const auto [it, fresh] = cuts.try_emplace(unit.path, unit.idle);
    if (!fresh) it->second = std::min(it->second, unit.idle);
  }
  std::map<std::string, Outcome> builds;  // what became of a cache's first step, which is for all
  for (const Decision& decision : report->plan.steps) {
    const Unit& unit = report->inventory.units[decision.unit];
    const auto first = builds.find(unit.path);
    Outcome outcome =
        first == builds.end() ? carry_out(decision, *report, *trash, source, cuts) : first->second;
    if (first != builds.end()) {
      outcome.unit = unit.id();
      outcome.freed = {};  // counted with the first
    } else if (unit.kind == UnitKind::Builds) {
      builds.emplace(unit.path, outcome);
    }
    report->freed += outcome.freed;
    if (outcome.result == Removal::Failed) report->failures += 1;
    report->outcomes.push_back(std::move(outcome));
  }
  ages_.inflation = report->plan.inflation;
  return report;
}

Outcome Collector::carry_out(const Decision& decision, const RunReport& report, const Trash& trash,
                             const RootSource& source, const std::map<std::string, seconds>& cuts) {
  const Unit& unit = report.inventory.units[decision.unit];
  Outcome out;
  out.unit = unit.id();
  out.action = decision.action;
  if (unit.kind == UnitKind::Builds) {
    const auto cache = open_folder(root_.get(), unit.path);
    if (!cache) {
      out.result = Removal::Failed;
      out.text = printable(unit.path) + ": " + cache.error().message();
      return out;
    }
    const InUseNow in_use = [&] { return in_use_now(unit, source); };
    const IdleOf idle_of = [this](std::int64_t stamp) { return ages_.idle_of_stamp(stamp); };
    const BuildRemoval removal =
        remove_builds(*cache, cuts.at(unit.path), trash, idle_of, in_use, config_.hook);
    out.freed = removal.removed;
    out.result = removal.failed > 0 ? Removal::Failed
                 : removal.in_use   ? Removal::InUse
                                    : Removal::Done;
    out.text = removal.error;
    return out;
  }
  RemovalResult removal = remove(unit, decision.action, trash, source);
  out.result = removal.outcome;
  out.text = std::move(removal.error);
  if (removal.outcome == Removal::Done) {
    out.freed = decision.action == Action::DropZip ? Totals{unit.zip_bytes, 1} : unit.size;
    if (decision.action == Action::Collect) ages_.forget(printable(unit.path));
  }
  return out;
}

/// Not while a layer is being made of it: whoever does that holds the folder.
RemovalResult Collector::remove_promotion(const Unit& unit, const Trash& trash) {
  const auto held = hold_folder(root_.get(), unit.path);
  if (held)
    return remove_folder(
        root_, unit.path, trash, [] { return false; }, config_.hook);
  if (held.error() == std::errc::operation_would_block) return {Removal::InUse, {}};
  if (held.error() == std::errc::no_such_file_or_directory) return {Removal::Gone, {}};
  return {Removal::Failed, printable(unit.path) + ": " + held.error().message()};
}

RemovalResult Collector::remove(const Unit& unit, Action action, const Trash& trash,
                                const RootSource& source) {
  if (in_use_now(unit, source)) return {Removal::InUse, {}};
  RemovalResult out{Removal::InUse, {}};
  if (unit.kind == UnitKind::Promotion) return remove_promotion(unit, trash);
  const InUseNow asked = [] { return false; };
  if (unit.kind != UnitKind::Module && unit.kind != UnitKind::Vcs) {
    source.if_unused(unit.path,
                     [&] { out = remove_folder(root_, unit.path, trash, asked, config_.hook); });
    return out;
  }
  const std::string cache_path = cache_of(unit);
  const auto cache = open_folder(root_.get(), cache_path);
  if (!cache) {
    return {Removal::Failed, printable(cache_path) + ": " + cache.error().message()};
  }
  const std::string name = unit.path.substr(cache_path.size() + 1);
  source.if_unused(cache_path, [&] {
    if (unit.kind == UnitKind::Vcs) {
      out = remove_vcs(*cache, name, trash, asked, config_.hook);
    } else if (action == Action::DropZip) {
      out = remove_zip(*cache, name, asked, config_.hook);
    } else {
      out = remove_module(*cache, name, trash, asked, config_.hook);
    }
  });
  return out;
}

}  // namespace gobuildenv::agent::collector
