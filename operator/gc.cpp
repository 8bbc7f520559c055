#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/collector/agent_facts.hpp"
#include "agent/collector/collector.hpp"
#include "agent/collector/text.hpp"
#include "agent/unique_fd.hpp"
#include "kube/files.hpp"
#include "operator/command.hpp"
#include "operator/documents.hpp"
#include "operator/limit_flags.hpp"
#include "operator/offline_flags.hpp"

namespace gobuildenv::cli {

namespace {

namespace gc = agent::collector;
using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxFacts = std::size_t{16} << 20U;

struct Flags {
  bool dry_run = false;
  bool ignore_agent = false;
  std::string root = "/var/lib/gobuildenv";
  LimitFlags limits;
  std::string output = "text";
};

/// What the agent of this root has left for us.
struct Agent {
  std::optional<gc::AgentFacts> facts;
  bool running = false;
};

/// Whether an agent holds the root: agent/node/root_lock.hpp.
bool is_running(const std::string& root) {
  const agent::UniqueFd file(
      ::open((root + "/agent.lock").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  return file && ::flock(file.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

Agent look_for_agent(const Flags& flags) {
  Agent out;
  if (flags.ignore_agent) return out;
  out.running = is_running(flags.root);
  const std::string path = flags.root + "/" + std::string(gc::kFactsFile);
  const auto text = kube::read_small_file(path, kMaxFacts);
  if (!text) return out;
  auto facts = gc::parse_agent_facts(*text);
  if (facts) {
    out.facts = std::move(*facts);
  } else {
    complain("gc", path + ": " + facts.error());
  }
  return out;
}

std::string about(const Agent& agent) {
  if (!agent.facts) {
    return "The node agent has left no limits and roots: these are the defaults, and only "
           "published\n"
           "volumes are known to be needed.\n";
  }
  const auto& facts = *agent.facts;
  return fmt::format("By the node agent's limits and {} roots of {}Z; the agent is {}.\n",
                     facts.roots.size(),
                     fmt::format("{:%Y-%m-%dT%H:%M:%S}", fmt::gmtime(facts.written_at)),
                     agent.running ? "running" : "not running");
}

const char* word(gc::Action action) {
  switch (action) {
    case gc::Action::Keep:
      return "keep";
    case gc::Action::DropZip:
      return "drop-zip";
    case gc::Action::Collect:
      return "collect";
  }
  return "";
}

std::uint64_t freed_by(const gc::Decision& decision, const gc::Unit& unit) {
  return decision.action == gc::Action::DropZip ? unit.zip_bytes : unit.size.bytes;
}

std::string line(const gc::Decision& decision, const gc::RunReport& report,
                 const gc::Limits& limits) {
  const gc::Unit& unit = report.inventory.units[decision.unit];
  return fmt::format("  {:>9}  {:<10} {}\n{:>24}{}\n", gc::size_text(freed_by(decision, unit)),
                     gc::to_string(unit.kind), gc::printable(unit.id()), "",
                     gc::explain(decision, report.inventory, limits, report.disk));
}

std::string as_text(const Flags& flags, const Agent& agent, const gc::RunReport& report,
                    const gc::Limits& limits) {
  const gc::Disk& disk = report.disk;
  std::string out =
      fmt::format("{}: {} of {} free, {} units\n", flags.root, gc::size_text(disk.bytes_free),
                  gc::size_text(disk.bytes), report.inventory.units.size());
  if (!flags.ignore_agent) out += about(agent);
  out += fmt::format("\nWould go, in this order: {}\n", report.plan.steps.empty() ? "nothing" : "");
  for (const auto& step : report.plan.steps) out += line(step, report, limits);
  out += fmt::format("\nStays: {}\n", report.plan.stays.empty() ? "nothing" : "");
  for (const auto& stay : report.plan.stays) out += line(stay, report, limits);
  out += "\nPer environment:\n";
  for (const auto& [environment, total] : report.inventory.environments) {
    out += fmt::format("  {:>9}  {} (at most {})\n", gc::size_text(total.bytes),
                       gc::printable(environment), gc::size_text(limits.of(environment).max_bytes));
  }
  out += fmt::format("\nWould be given back: {}, {} inodes. In the trash: {}.\n",
                     gc::size_text(report.plan.planned.bytes), report.plan.planned.inodes,
                     gc::size_text(report.inventory.trash.bytes));
  if (report.plan.short_of_space) {
    out += "Not enough: what else there is is in use or was used a moment ago.\n";
  }
  return out;
}

Json as_json(const gc::Decision& decision, const gc::RunReport& report, const gc::Limits& limits) {
  const gc::Unit& unit = report.inventory.units[decision.unit];
  return {{"unit", gc::printable(unit.id())},
          {"kind", gc::to_string(unit.kind)},
          {"environment", gc::printable(unit.environment)},
          {"action", word(decision.action)},
          {"bytes", freed_by(decision, unit)},
          {"inodes", decision.action == gc::Action::DropZip ? 1 : unit.size.inodes},
          {"idleSeconds", unit.idle.count()},
          {"why", gc::explain(decision, report.inventory, limits, report.disk)}};
}

Json as_json(const Agent& agent) {
  if (!agent.facts) return nullptr;
  Json roots = Json::array();
  for (const gc::Root& root : agent.facts->roots) {
    roots.push_back({{"path", gc::printable(root.path)}, {"why", gc::printable(root.why)}});
  }
  return {{"running", agent.running}, {"writtenAt", agent.facts->written_at}, {"roots", roots}};
}

std::string as_json(const Agent& agent, const gc::RunReport& report, const gc::Limits& limits) {
  Json goes = Json::array();
  for (const auto& step : report.plan.steps) goes.push_back(as_json(step, report, limits));
  Json stays = Json::array();
  for (const auto& stay : report.plan.stays) stays.push_back(as_json(stay, report, limits));
  Json environments = Json::object();
  for (const auto& [environment, total] : report.inventory.environments) {
    environments[gc::printable(environment)] = {{"bytes", total.bytes}, {"inodes", total.inodes}};
  }
  const Json out = {
      {"disk",
       {{"bytes", report.disk.bytes},
        {"bytesFree", report.disk.bytes_free},
        {"inodes", report.disk.inodes},
        {"inodesFree", report.disk.inodes_free}}},
      {"environments", environments},
      {"goes", goes},
      {"stays", stays},
      {"planned", {{"bytes", report.plan.planned.bytes}, {"inodes", report.plan.planned.inodes}}},
      {"trash",
       {{"bytes", report.inventory.trash.bytes}, {"inodes", report.inventory.trash.inodes}}},
      {"agent", as_json(agent)},
      {"shortOfSpace", report.plan.short_of_space}};
  return out.dump();
}

ExitCode run(const Flags& flags) {
  if (!flags.dry_run) {
    complain("gc",
             "collecting is the node agent's, which knows the pods of its node; "
             "add --dry-run to see what would go and why");
    return ExitCode::Usage;
  }
  const Agent agent = look_for_agent(flags);
  const auto limits = apply_limits(flags.limits, agent.facts ? agent.facts->limits : gc::Limits());
  if (!limits) {
    complain("gc", limits.error());
    return ExitCode::Usage;
  }
  auto collector = gc::Collector::open({.root = flags.root, .hook = {}});
  if (!collector) {
    complain("gc", collector.error());
    return ExitCode::Input;
  }
  const auto report =
      collector->dry_run(agent.facts ? agent.facts->roots : std::vector<gc::Root>(), *limits);
  if (!report) {
    complain("gc", report.error());
    return ExitCode::Input;
  }
  if (report->inventory.problems.count > 0) {
    complain("gc", fmt::format("{} places could not be read, the first: {}",
                               report->inventory.problems.count,
                               gc::printable(report->inventory.problems.first)));
  }
  std::string text;
  if (flags.output == "text") {
    text = as_text(flags, agent, *report, *limits);
  } else {
    const auto printed = print_documents({as_json(agent, *report, *limits)}, flags.output);
    if (!printed) throw std::runtime_error(printed.error());
    text = *printed;
  }
  fmt::print("{}", text);
  return report->plan.short_of_space ? ExitCode::Negative : ExitCode::Ok;
}

}  // namespace

void add_gc_command(CLI::App& app, ExitCode& exit) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(
      "gc",
      "Show what the node agent's collector would remove, what stays, and why.\n"
      "  gobuildenv gc --dry-run                            on a node, as its agent would\n"
      "  gobuildenv gc --dry-run --root DIR -o json         of another folder, for scripts\n"
      "  gobuildenv gc --dry-run --high 50 --low 40         what if the disk had less room\n"
      "Nothing is changed. Limits, and what pods and GoBuildEnvs need, are those that the agent\n"
      "wrote last to collector.json in its folder; published volumes are read from theirs.\n"
      "Exit: 0 shown; 1 space is short even when all of it goes; 2 wrong usage; 3 the folder\n"
      "cannot be read.");
  command->add_flag("--dry-run", flags->dry_run, "only show; required");
  command->add_option("--root", flags->root, "the agent's folder")->capture_default_str();
  command->add_flag("--ignore-agent", flags->ignore_agent,
                    "by the defaults and published volumes alone");
  add_limit_flags(*command, flags->limits, "Limits");
  command->add_option("-o,--output", flags->output, "text, json or yaml")
      ->check(CLI::IsMember({"text", "json", "yaml"}))
      ->capture_default_str();
  command->callback([flags, &exit] { exit = run(*flags); });
}

}  // namespace gobuildenv::cli
