#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "operator/cluster.hpp"
#include "operator/command.hpp"
#include "operator/offline_flags.hpp"
#include "operator/uninstall.hpp"

namespace gobuildenv::cli {
namespace {

struct Flags {
  std::string kubeconfig;
  std::string context;
  unsigned wait_seconds = 0;
  unsigned settle_seconds = 10;
  UninstallOptions options;
};

ExitCode run(const Flags& flags) {
  kube::RealClock clock;
  const auto cluster = open_cluster(flags.kubeconfig, flags.context, clock);
  if (!cluster) {
    complain("prepare-uninstall", cluster.error());
    return ExitCode::Input;
  }
  const auto client = command_client(*cluster, clock);
  UninstallOptions options = flags.options;
  options.wait = std::chrono::seconds(flags.wait_seconds);
  options.settle = std::chrono::seconds(flags.settle_seconds);
  const auto holders =
      prepare_uninstall(*client, clock, options, [](const std::vector<VolumeHolder>& waiting) {
        fmt::print("waiting for {} pods, {} among them\n", waiting.size(), waiting.front().pod);
        std::fflush(stdout);
      });
  if (!holders) {
    complain("prepare-uninstall", holders.error().message);
    return ExitCode::Unreachable;
  }
  fmt::print("{}", uninstall_text(*holders, options));
  return holders->empty() ? ExitCode::Ok : ExitCode::Negative;
}

}  // namespace

void add_prepare_uninstall_command(CLI::App& app, ExitCode& exit) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(
      "prepare-uninstall",
      "Make it safe to remove the operator from a cluster: stop injection by deleting its webhook\n"
      "configurations, then wait until no pod holds a volume of the node agent, since such a pod\n"
      "could not end without it. `helm uninstall` runs this itself.\n"
      "  gobuildenv prepare-uninstall --check              who holds volumes; changes nothing\n"
      "  gobuildenv prepare-uninstall --wait-seconds 600   before kubectl delete -f install.yaml\n"
      "Exit: 0 the operator can be removed; 1 pods hold volumes; 2 wrong usage; 3 no kubeconfig;\n"
      "4 the cluster did not answer, or refused.");
  command->add_option("--kubeconfig", flags->kubeconfig, "kubeconfig file");
  command->add_option("--context", flags->context, "context of the kubeconfig");
  command->add_flag("--check", flags->options.only_check, "only say who holds volumes now");
  command
      ->add_option("--webhook-config", flags->options.webhook_config,
                   "name of both webhook configurations")
      ->capture_default_str();
  command
      ->add_option("--wait-seconds", flags->wait_seconds,
                   "how long pods may take to end before the answer is no")
      ->capture_default_str();
  command
      ->add_option("--settle-seconds", flags->settle_seconds,
                   "how long nobody must have held a volume")
      ->capture_default_str();
  command->callback([flags, &exit] { exit = run(*flags); });
}

}  // namespace gobuildenv::cli
