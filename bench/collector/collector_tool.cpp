// One part of the collector by itself, on folders given on the command line; results as one JSON
// object. Not shipped: what ships decides by roots and limits, this does as it is told.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "agent/caches/layers.hpp"
#include "agent/collector/collector.hpp"
#include "agent/collector/module_cache.hpp"
#include "agent/collector/remove.hpp"
#include "agent/collector/remove_builds.hpp"
#include "agent/collector/trash_emptier.hpp"

namespace {

using namespace gobuildenv::agent::collector;
using Json = nlohmann::ordered_json;
using Arguments = std::vector<std::string>;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kSecond = 1'000'000'000;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Fd open_or_exit(const std::string& path) {
  auto fd = open_trusted_folder(path);
  if (!fd) {
    fmt::print(stderr, "{}: {}\n", path, fd.error().message());
    std::exit(3);
  }
  return std::move(*fd);
}

std::int64_t number(const std::string& text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) {
    fmt::print(stderr, "\"{}\" is no number\n", text);
    std::exit(2);
  }
  return out;
}

/// scan DIR: without a memo, then with that of the first.
Json scan(const Arguments& args) {
  const Fd dir = open_or_exit(args[0]);
  TreeMemo memo;
  Json out;
  for (const char* name : {"first", "repeat"}) {
    TreeScan scan(read_clocks().wall_ns);
    const auto start = Clock::now();
    const Totals totals = scan.count(dir, memo);
    out[name] = since(start);
    out["bytes"] = totals.bytes;
    out["inodes"] = totals.inodes;
    out["problems"] = scan.problems().count;
    out["reused"] = scan.folders_reused();
  }
  out["memoBytes"] = memo.size();
  return out;
}

/// scan-builds DIR: for sizes, without a memo and with one, then for uses.
Json scan_builds(const Arguments& args) {
  const Fd dir = open_or_exit(args[0]);
  BuildMemo memo;
  Json out;
  const IdleOf idle = [](std::int64_t stamp) -> std::optional<seconds> {
    return seconds(std::max<std::int64_t>(0, ::time(nullptr) - stamp / kSecond));
  };
  const std::pair<const char*, Depth> passes[] = {
      {"first", Depth::Sizes}, {"repeat", Depth::Sizes}, {"uses", Depth::Uses}};
  for (const auto& [name, depth] : passes) {
    TreeScan scan(read_clocks().wall_ns);
    const auto start = Clock::now();
    const BuildCacheScan found = scan_build_cache(dir, scan, memo, depth, idle, false);
    out[name] = since(start);
    out["inodes"] = found.entries.inodes;
    out["bytes"] = found.entries.bytes;
  }
  return out;
}

/// modules CACHE: every unit with its size and last use. arm CACHE: the same, and sets the probes.
Json modules(const Arguments& args, bool arm) {
  const Fd dir = open_or_exit(args[0]);
  TreeScan scan(read_clocks().wall_ns);
  ModuleMemos memos;
  Json out = Json::object();
  for (const CachedModule& module : scan_module_cache(dir, scan, memos).modules) {
    const std::int64_t used = arm ? arm_probe(dir, module.name) : module.used;
    out[module.name] = {{"bytes", module.size.bytes},
                        {"inodes", module.size.inodes},
                        {"zipBytes", module.zip_bytes},
                        {"used", used}};
  }
  return out;
}

Json outcome(const RemovalResult& result) {
  constexpr const char* kNames[] = {"done", "gone", "busy", "in-use", "failed"};
  return {{"outcome", kNames[static_cast<std::size_t>(result.outcome)]}, {"error", result.error}};
}

const InUseNow kNobody = [] { return false; };

Trash trash_of(const std::string& root) {
  auto trash = Trash::open(open_or_exit(root));
  if (!trash) {
    fmt::print(stderr, "{}/trash: {}\n", root, trash.error().message());
    std::exit(3);
  }
  return std::move(*trash);
}

/// remove-builds CACHE ROOT SECONDS
Json builds(const Arguments& args) {
  const Trash trash = trash_of(args[1]);
  const IdleOf idle = [](std::int64_t stamp) -> std::optional<seconds> {
    return seconds(::time(nullptr) - stamp / kSecond);
  };
  const BuildRemoval out =
      remove_builds(open_or_exit(args[0]), seconds(number(args[2])), trash, idle, kNobody);
  return {{"actions", out.actions},
          {"outputs", out.outputs},
          {"kept", out.kept_outputs},
          {"failed", out.failed},
          {"error", out.error}};
}

/// empty ROOT RATE: entries a second, 0 for full speed; with a rate also idle, as in the agent.
Json empty(const Arguments& args) {
  const Trash trash = trash_of(args[0]);
  const std::int64_t rate = number(args[1]);
  const std::atomic<bool> stop = false;
  if (rate > 0) become_idle();
  const Pace pace{.entries_per_second = static_cast<std::uint64_t>(rate),
                  .sleep =
                      [](std::chrono::nanoseconds time) {
                        std::this_thread::sleep_for(time);
                        return false;
                      },
                  .now = [] { return Clock::now().time_since_epoch(); }};
  const auto start = Clock::now();
  const EmptyReport report = empty_trash(trash, pace, stop);
  return {{"seconds", since(start)},
          {"entries", report.entries},
          {"failed", report.failed},
          {"error", report.error}};
}

/// The records below the root are all the roots there are; whoever writes one holds volumes.lock.
class Records final : public RootSource {
 public:
  explicit Records(const Fd& root)
      : root_(root),
        lock_(open_beneath(root.get(), "volumes.lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600)) {}

  [[nodiscard]] std::vector<Root> roots() const override { return {}; }

  bool if_unused(const std::string& path, const std::function<void()>& act) const override {
    if (!lock_ || ::flock(lock_->get(), LOCK_EX) != 0) return false;
    Unit unit;
    unit.path = path;
    const bool unused = root_of(unit, roots_of_volumes(root_)) == nullptr;
    if (unused) act();
    ::flock(lock_->get(), LOCK_UN);
    return unused;
  }

 private:
  const Fd& root_;
  IoResult<Fd> lock_;
};

/// Limits that let everything go which no volume uses; entries of build caches keep the hour that
/// go's stamps need.
Limits nothing_stays() {
  Limits limits;
  limits.high_percent = limits.low_percent = 100;  // the disk is the machine's
  limits.node.unused_for = seconds(0);
  limits.min_idle = seconds(0);
  return limits;
}

/// collect ROOT: runs without a pause until standard input ends, as if the agent had been watching
/// for a day. The trash is emptied beside it at full speed. Gives how often what went.
Json collect(const Arguments& args) {
  seconds behind = std::chrono::hours(24);
  auto collector = Collector::open({.root = args[0], .clock = [&behind] {
                                      ClockReading now = read_clocks();
                                      now.wall_ns -= behind.count() * kSecond;
                                      now.since_boot -= behind;
                                      return now;
                                    }});
  if (!collector) {
    fmt::print(stderr, "{}\n", collector.error());
    std::exit(3);
  }
  static_cast<void>(collector->measure());
  behind = seconds(0);
  const Fd root = open_or_exit(args[0]);
  const Records records(root);
  TrashEmptier emptier(root, 0, [](const EmptyReport&) {});
  std::atomic<bool> stop = false;
  std::thread reader([&stop] {
    while (std::getchar() != EOF) {
    }
    stop = true;
  });
  std::uint64_t runs = 0;
  std::uint64_t in_use = 0;
  std::map<std::string, std::uint64_t> gone;
  Json errors = Json::array();
  while (!stop) {
    const auto report = collector->run(records, nothing_stays());
    runs += 1;
    if (!report || report->problem) {
      errors.push_back(report ? report->problem->second : report.error());
      continue;
    }
    for (std::size_t i = 0; i < report->outcomes.size(); ++i) {
      const Outcome& outcome = report->outcomes[i];
      const Unit& unit = report->inventory.units[report->plan.steps[i].unit];
      if (outcome.result == Removal::InUse) in_use += 1;
      if (outcome.result == Removal::Failed) errors.push_back(outcome.text);
      if (outcome.freed.inodes > 0) {
        gone[std::string(to_string(unit.kind))] +=
            unit.kind == UnitKind::Builds ? outcome.freed.inodes : 1;
      }
    }
    if (!report->outcomes.empty()) emptier.wake();
  }
  reader.join();
  return {{"runs", runs}, {"gone", gone}, {"inUse", in_use}, {"errors", errors}};
}

/// promote ROOT CACHE UPPER: the next layer of modules of CACHE, a path below ROOT.
Json promote_modules(const Arguments& args) {
  using namespace gobuildenv::agent;
  const Fd root = open_or_exit(args[0]);
  const Fd upper = open_or_exit(args[2]);
  const auto done =
      promote({root, args[1], VolumeKind::Modules, {&upper, 1}, "promotions/tool", {}, {}, {}});
  std::filesystem::remove_all(args[0] + "/promotions/tool");
  if (!done) {
    fmt::print(stderr, "{}\n", done.error().message);
    std::exit(3);
  }
  return {{"layer", done->layer},
          {"taken", done->report.taken},
          {"kept", done->report.kept},
          {"refused", done->report.refused},
          {"why", done->report.first_refusal}};
}

struct Command {
  std::size_t arguments;
  std::function<Json(const Arguments&)> run;
};

const std::map<std::string, Command> kCommands{
    {"scan", {1, scan}},
    {"scan-builds", {1, scan_builds}},
    {"modules", {1, [](const Arguments& a) { return modules(a, false); }}},
    {"arm", {1, [](const Arguments& a) { return modules(a, true); }}},
    {"remove-module",
     {3,
      [](const Arguments& a) {
        return outcome(remove_module(open_or_exit(a[0]), a[2], trash_of(a[1]), kNobody));
      }}},
    {"remove-zip",
     {2,
      [](const Arguments& a) { return outcome(remove_zip(open_or_exit(a[0]), a[1], kNobody)); }}},
    {"remove-folder",
     {2,
      [](const Arguments& a) {
        return outcome(remove_folder(open_or_exit(a[0]), a[1], trash_of(a[0]), kNobody));
      }}},
    {"remove-builds", {3, builds}},
    {"collect", {1, collect}},
    {"promote", {3, promote_modules}},
    {"empty", {2, empty}},
};

}  // namespace

int main(int argc, char** argv) {
  const Arguments all(argv + 1, argv + argc);
  const auto command = all.empty() ? kCommands.end() : kCommands.find(all[0]);
  if (command == kCommands.end() || all.size() != command->second.arguments + 1) {
    fmt::print(stderr,
               "usage: collector_tool COMMAND …\n"
               "  scan DIR | scan-builds GOCACHE | modules GOMODCACHE | arm GOMODCACHE\n"
               "  remove-module GOMODCACHE ROOT MODULE@VERSION | remove-zip GOMODCACHE "
               "MODULE@VERSION\n"
               "  remove-folder ROOT PATH | remove-builds GOCACHE ROOT SECONDS | empty ROOT RATE\n"
               "  collect ROOT | promote ROOT CACHE UPPER\n");
    return 2;
  }
  fmt::print("{}\n", command->second.run(Arguments(all.begin() + 1, all.end())).dump());
  return 0;
}
