#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "agent/collector/collector.hpp"
#include "agent/collector/text.hpp"
#include "crds/scalars.hpp"
#include "operator/command.hpp"
#include "operator/documents.hpp"
#include "operator/offline_flags.hpp"

namespace gobuildenv::cli {

namespace {

namespace gc = agent::collector;
using Json = nlohmann::ordered_json;

struct Flags {
  bool dry_run = false;
  std::string root = "/var/lib/gobuildenv";
  std::string unused_for = "168h";
  std::string max_size = "20Gi";
  unsigned high = gc::Limits().high_percent;
  unsigned low = gc::Limits().low_percent;
  std::string order = "gdsf";
  std::string output = "text";
};

tl::expected<gc::Limits, std::string> limits_of(const Flags& flags) {
  gc::Limits out;
  const auto unused_for = crds::parse_duration(flags.unused_for);
  if (!unused_for) {
    return tl::unexpected(fmt::format(
        "--unused-for: \"{}\" is no duration; write it like 168h or 30m", flags.unused_for));
  }
  const auto max_size = crds::parse_quantity(flags.max_size);
  if (!max_size) {
    return tl::unexpected(
        fmt::format("--max-size: \"{}\" is no size; write it like 20Gi", flags.max_size));
  }
  out.node = {.unused_for = *unused_for, .max_bytes = static_cast<std::uint64_t>(*max_size)};
  out.high_percent = flags.high;
  out.low_percent = flags.low;
  out.order =
      flags.order == "gdsf" ? gc::Order::GreedyDualSizeFrequency : gc::Order::LeastRecentlyUsed;
  if (auto error = out.error()) return tl::unexpected("--high, --low: " + *error);
  return out;
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

std::string as_text(const Flags& flags, const gc::RunReport& report, const gc::Limits& limits) {
  const gc::Disk& disk = report.disk;
  std::string out =
      fmt::format("{}: {} of {} free, {} units\n\n", flags.root, gc::size_text(disk.bytes_free),
                  gc::size_text(disk.bytes), report.inventory.units.size());
  out += fmt::format("Would go, in this order: {}\n", report.plan.steps.empty() ? "nothing" : "");
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

std::string as_json(const gc::RunReport& report, const gc::Limits& limits) {
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
  const auto limits = limits_of(flags);
  if (!limits) {
    complain("gc", limits.error());
    return ExitCode::Usage;
  }
  auto collector = gc::Collector::open({.root = flags.root, .hook = {}});
  if (!collector) {
    complain("gc", collector.error());
    return ExitCode::Input;
  }
  const auto report = collector->dry_run({}, *limits);
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
    text = as_text(flags, *report, *limits);
  } else {
    const auto printed = print_documents({as_json(*report, *limits)}, flags.output);
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
      "  gobuildenv gc --dry-run                            on a node, with the defaults\n"
      "  gobuildenv gc --dry-run --root DIR -o json         of another folder, for scripts\n"
      "  gobuildenv gc --dry-run --high 50 --low 40         what if the disk had less room\n"
      "Nothing is changed. Roots are the published volumes; the agent also knows the pods that\n"
      "wait and the environments' revisions, so it keeps at least what is shown as kept.\n"
      "Exit: 0 shown; 1 space is short even when all of it goes; 2 wrong usage; 3 the folder\n"
      "cannot be read.");
  command->add_flag("--dry-run", flags->dry_run, "only show; required");
  command->add_option("--root", flags->root, "the agent's folder")->capture_default_str();
  command->add_option("--unused-for", flags->unused_for, "keep what was used within this time")
      ->capture_default_str();
  command->add_option("--max-size", flags->max_size, "of all caches of one environment")
      ->capture_default_str();
  command->add_option("--high", flags->high, "percent of the disk from which space is made")
      ->capture_default_str();
  command->add_option("--low", flags->low, "percent down to which space is made")
      ->capture_default_str();
  command->add_option("--order", flags->order, "which go first: lru or gdsf")
      ->check(CLI::IsMember({"lru", "gdsf"}))
      ->capture_default_str();
  command->add_option("-o,--output", flags->output, "text, json or yaml")
      ->check(CLI::IsMember({"text", "json", "yaml"}))
      ->capture_default_str();
  command->callback([flags, &exit] { exit = run(*flags); });
}

}  // namespace gobuildenv::cli
