#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crds/gobuildenv.hpp"
#include "operator/command.hpp"
#include "operator/documents.hpp"
#include "operator/offline_flags.hpp"

namespace gobuildenv::cli {

namespace {

std::string summary(const RenderedEnvironment& rendered) {
  std::string out = fmt::format("GoBuildEnv {}/{}\n  toolchain  go{}\n  revision   {}\n",
                                rendered.ns, rendered.name, rendered.toolchain, rendered.hash);
  out += fmt::format("  ConfigMap  {}\n", rendered.config_map_name);
  for (const auto& [key, text] : rendered.revision.data) {
    out += fmt::format("    {:<14} {:>6} bytes\n", key, text.size());
  }
  if (!rendered.export_json.empty()) out += "  export     one more ConfigMap, for envFrom\n";
  for (const auto& advice : rendered.advice) out += fmt::format("  advice     {}\n", advice);
  return out;
}

ExitCode run(const OfflineFlags& flags) {
  const auto options = offline_options(flags);
  if (!options) {
    complain("render", options.error());
    return ExitCode::Usage;
  }
  const auto documents = read_documents(flags.files);
  if (!documents) {
    complain("render", documents.error());
    return ExitCode::Input;
  }
  std::vector<std::string> objects;
  std::string text;
  bool any = false;
  bool valid = true;
  for (const Document& document : *documents) {
    if (document.kind != crds::kKind) continue;
    any = true;
    const auto rendered = render_environment(document, *options);
    if (!rendered) {
      complain("render", rendered.error());
      valid = false;
      continue;
    }
    for (const auto& advice : rendered->advice) {
      if (flags.output != "text") fmt::print(stderr, "{}: {}\n", document.source, advice);
    }
    text += summary(*rendered);
    objects.push_back(rendered->config_map_json);
    if (!rendered->export_json.empty()) objects.push_back(rendered->export_json);
  }
  if (!any) {
    complain("render", "the input holds no GoBuildEnv (apiVersion gobuildenv.dev/v1alpha1)");
    return ExitCode::Input;
  }
  if (!valid) return ExitCode::Negative;
  if (flags.output != "text") {
    const auto printed = print_documents(objects, flags.output);
    if (!printed) throw std::runtime_error(printed.error());
    text = *printed;
  }
  fmt::print("{}", text);
  return ExitCode::Ok;
}

}  // namespace

void add_render_command(CLI::App& app, ExitCode& exit) {
  auto flags = std::make_shared<OfflineFlags>();
  CLI::App* command = app.add_subcommand(
      "render",
      "Print the objects that a GoBuildEnv becomes, as the operator would create them.\n"
      "  gobuildenv render -f env.yaml                     the ConfigMap, as YAML\n"
      "  gobuildenv render -f env.yaml -o text             what it is, in a few lines\n"
      "  cat *.yaml | gobuildenv render -f - -o json\n"
      "Exit: 0 rendered; 1 an environment is invalid, every error is named; 2 wrong usage;\n"
      "3 unreadable input.");
  add_offline_flags(*command, *flags, {"yaml", "json", "text"}, false);
  command->get_option("--filename")->required();
  command->callback([flags, &exit] { exit = run(*flags); });
}

}  // namespace gobuildenv::cli
