#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "crds/gobuildenv.hpp"
#include "goenv/names.hpp"
#include "operator/command.hpp"
#include "operator/documents.hpp"
#include "operator/inject_document.hpp"
#include "operator/offline_flags.hpp"
#include "operator/terminal.hpp"
#include "webhooks/pod/explain.hpp"

namespace gobuildenv::cli {

namespace {

using Json = nlohmann::ordered_json;

std::string apply(const std::string& document, const std::string& patch) {
  // The unordered flavour has no patch() of its own that keeps the order of keys.
  return Json::parse(document).patch(Json::parse(patch)).dump();
}

std::string line_of(const Document& document, const webhooks::Explanation& explanation,
                    bool changed) {
  return fmt::format("{}: {} {}: {}{}\n", document.source, document.kind, document.name,
                     changed ? "changed" : "as it was",
                     explanation.reason.empty() ? "" : ": " + explanation.reason);
}

/// Somebody wants an environment for pods that are described in a way unknown here.
bool asks_without_template(const Document& document) {
  return document.kind != crds::kKind && document.kind != "Namespace" &&
         document.json.find(fmt::format("\"{}\"", goenv::kEnvLabel)) != std::string::npos;
}

ExitCode run(const OfflineFlags& flags) {
  const auto options = offline_options(flags);
  if (!options) {
    complain("inject", options.error());
    return ExitCode::Usage;
  }
  const auto manifests = read_documents(flags.files);
  if (!manifests) {
    complain("inject", manifests.error());
    return ExitCode::Input;
  }
  auto known = read_documents(flags.environments);
  if (!known) {
    complain("inject", known.error());
    return ExitCode::Input;
  }
  known->insert(known->end(), manifests->begin(), manifests->end());
  const auto lookup = OfflineEnvironments::load(*known, *options);
  if (!lookup) {
    complain("inject", lookup.error());
    return ExitCode::Negative;
  }

  std::vector<std::string> out;
  std::string notes;
  bool refused = false;
  for (const Document& document : *manifests) {
    const auto pointer = webhooks::pod_template_pointer(document.json);
    if (!pointer) {
      if (asks_without_template(document)) {
        notes += fmt::format("{}: {} {}: as it was: it names {}, but has no pod template at {}\n",
                             document.source, document.kind, document.name, goenv::kEnvLabel,
                             "spec.template");
      }
      out.push_back(document.json);
      continue;
    }
    const auto injection = inject_document(document, *pointer, flags.ns, **lookup);
    if (!injection) {
      complain("inject", injection.error());
      return ExitCode::Input;
    }
    const auto& explanation = injection->explanation;
    notes += line_of(document, explanation, !injection->patch.empty());
    for (const auto& warning : explanation.warnings)
      notes += fmt::format("  warning: {}\n", warning);
    refused = refused || explanation.refused;
    out.push_back(injection->patch.empty() ? document.json
                                           : apply(document.json, injection->patch));
  }
  const auto printed = print_documents(out, flags.output);
  if (!printed) throw std::runtime_error(printed.error());
  fmt::print("{}", *printed);
  fmt::print(stderr, "{}", terminal_text(notes));
  if (refused) {
    complain("inject", "a pod above would be refused by admission");
    return ExitCode::Negative;
  }
  return ExitCode::Ok;
}

}  // namespace

void add_inject_command(CLI::App& app, ExitCode& exit) {
  auto flags = std::make_shared<OfflineFlags>();
  CLI::App* command = app.add_subcommand(
      "inject",
      "Print manifests as admission would change them: pods, and every kind with a pod template\n"
      "(the built-in ones, and any other that has it at spec.template).\n"
      "  gobuildenv inject -e env.yaml -f job.yaml | kubectl apply -f -\n"
      "  kubectl get gobuildenv,job -o yaml | gobuildenv inject -f -\n"
      "What was done to each object is said on standard error; other kinds pass unchanged.\n"
      "Exit: 0 printed; 1 an environment is invalid or a pod would be refused; 2 wrong usage;\n"
      "3 unreadable input.");
  add_offline_flags(*command, *flags, {"yaml", "json"}, true);
  command->get_option("--filename")->required();
  command->callback([flags, &exit] { exit = run(*flags); });
}

}  // namespace gobuildenv::cli
