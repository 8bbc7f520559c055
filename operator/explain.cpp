#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "controllers/gobuildenv/records.hpp"
#include "operator/cluster.hpp"
#include "operator/cluster_environments.hpp"
#include "operator/command.hpp"
#include "operator/documents.hpp"
#include "operator/explain_output.hpp"
#include "operator/inject_document.hpp"
#include "operator/offline_flags.hpp"
#include "operator/terminal.hpp"

namespace gobuildenv::cli {

namespace {

constexpr std::chrono::seconds kClusterTimeout{20};

struct ExplainFlags : OfflineFlags {
  std::string target;
  std::string kubeconfig;
  std::string context;
};

/// Prints and gives whether the environment holds in at least one container.
bool print(const Explained& explained, const std::string& format,
           std::vector<std::string>& documents) {
  if (format == "text") {
    fmt::print("{}{}", documents.empty() ? "" : "\n", terminal_text(explanation_text(explained)));
  }
  documents.push_back(explanation_json(explained));
  return holds(explained);
}

ExitCode finish(const ExplainFlags& flags, const std::vector<std::string>& documents,
                bool follows) {
  if (flags.output != "text") {
    const auto printed = print_documents(documents, flags.output);
    if (!printed) throw std::runtime_error(printed.error());
    fmt::print("{}", *printed);
  }
  return follows ? ExitCode::Ok : ExitCode::Negative;
}

ExitCode from_files(const ExplainFlags& flags, const std::string& wanted) {
  const auto options = offline_options(flags);
  if (!options) {
    complain("explain", options.error());
    return ExitCode::Usage;
  }
  const auto manifests = read_documents(flags.files);
  auto known = manifests ? read_documents(flags.environments) : manifests;
  if (!known) {
    complain("explain", known.error());
    return ExitCode::Input;
  }
  known->insert(known->end(), manifests->begin(), manifests->end());
  const auto lookup = OfflineEnvironments::load(*known, *options);
  if (!lookup) {
    complain("explain", lookup.error());
    return ExitCode::Input;
  }
  std::vector<std::string> documents;
  bool follows = false;
  for (const Document& document : *manifests) {
    const auto pointer = webhooks::pod_template_pointer(document.json);
    if (!pointer || (!wanted.empty() && document.name != wanted)) continue;
    const std::string ns = document.ns.empty() ? flags.ns : document.ns;
    const auto injection = inject_document(document, *pointer, flags.ns, **lookup);
    if (!injection) {
      complain("explain", injection.error());
      return ExitCode::Input;
    }
    const Explained explained{fmt::format("{} {}/{}", document.kind, ns, document.name),
                              injection->explanation, std::nullopt};
    follows = print(explained, flags.output, documents) || follows;
  }
  if (documents.empty()) {
    complain("explain", wanted.empty() ? "the input holds no pod and nothing with a pod template"
                                       : fmt::format("the input holds no pod named {}", wanted));
    return ExitCode::Input;
  }
  return finish(flags, documents, follows);
}

ExitCode from_cluster(const ExplainFlags& flags, const std::string& name, bool ns_given) {
  kube::RealClock clock;
  const auto cluster = open_cluster(flags.kubeconfig, flags.context, clock);
  if (!cluster) {
    complain("explain", cluster.error());
    return ExitCode::Input;
  }
  const auto client = command_client(*cluster, clock);
  const auto deadline = clock.now() + kClusterTimeout;
  const std::string ns = ns_given ? flags.ns : cluster->ns;
  const auto pod = client->get(controllers::kPodType, {ns, name}, deadline);
  if (!pod) {
    complain("explain", fmt::format("pod {}/{}: {}", ns, name, pod.error().message));
    return pod.error().kind == kube::Error::Kind::NotFound ? ExitCode::Input
                                                           : ExitCode::Unreachable;
  }
  ClusterEnvironments lookup(*client, deadline);
  const auto binding = binding_of(*pod);
  if (binding) lookup.bind(binding->environment, binding->revision);
  const auto injection = webhooks::inject_pod_template(*pod, "", ns, lookup, {});
  if (!lookup.trouble().empty()) {
    complain("explain", lookup.trouble());
    return ExitCode::Unreachable;
  }
  if (!injection) throw std::runtime_error(injection.error());
  std::vector<std::string> documents;
  const Explained explained{fmt::format("Pod {}/{}", ns, name), injection->explanation,
                            binding.has_value()};
  const bool follows = print(explained, flags.output, documents);
  return finish(flags, documents, follows);
}

/// A flag that would be passed over without a word; null: none.
const char* stray_flag(const ExplainFlags& flags) {
  if (!flags.files.empty()) {
    if (!flags.kubeconfig.empty()) return "--kubeconfig";
    return flags.context.empty() ? nullptr : "--context";
  }
  if (!flags.environments.empty()) return "-e";
  if (flags.csi) return "--csi";
  if (!flags.toolchain_versions.empty()) return "--toolchain-version";
  if (!flags.module_proxy.empty()) return "--module-proxy";
  return flags.sum_db.empty() ? nullptr : "--sum-db";
}

ExitCode run(const ExplainFlags& flags, bool ns_given) {
  std::string name = flags.target;
  for (const char* prefix : {"pod/", "pods/"}) {
    if (name.starts_with(prefix)) name = name.substr(std::string_view(prefix).size());
  }
  if (name.find('/') != std::string::npos) {
    complain("explain",
             fmt::format("\"{}\": only pods can be explained; write pod/NAME", flags.target));
    return ExitCode::Usage;
  }
  if (const char* stray = stray_flag(flags)) {
    complain("explain", fmt::format("{} {}", stray,
                                    flags.files.empty()
                                        ? "needs -f FILE: a pod of the cluster has what is there"
                                        : "does not go with -f, which asks no cluster"));
    return ExitCode::Usage;
  }
  if (!flags.files.empty()) return from_files(flags, name);
  if (name.empty()) {
    complain("explain", "say which pod: pod/NAME on a cluster, or -f FILE without one");
    return ExitCode::Usage;
  }
  return from_cluster(flags, name, ns_given);
}

}  // namespace

void add_explain_command(CLI::App& app, ExitCode& exit) {
  auto flags = std::make_shared<ExplainFlags>();
  CLI::App* command = app.add_subcommand(
      "explain",
      "Say which environment a pod has and why, or why not, what each container gets and who won\n"
      "each variable.\n"
      "  gobuildenv explain pod/build-7 -n ci              on the cluster of your kubeconfig\n"
      "  gobuildenv explain -f pod.yaml -e env.yaml        without one\n"
      "Exit: 0 the environment holds in a container; 1 it does not, or the pod was created "
      "without\n"
      "it; 2 wrong usage; 3 unreadable input or no such pod; 4 the cluster did not answer.");
  command->add_option("pod", flags->target, "pod/NAME");
  command->add_option("--kubeconfig", flags->kubeconfig, "kubeconfig file");
  command->add_option("--context", flags->context, "context of the kubeconfig");
  add_offline_flags(*command, *flags, {"text", "json", "yaml"}, true);
  CLI::Option* ns = command->get_option("--namespace");
  command->callback([flags, ns, &exit] { exit = run(*flags, ns->count() > 0); });
}

}  // namespace gobuildenv::cli
