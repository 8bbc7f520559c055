#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "operator/command.hpp"
#include "operator/version.hpp"

namespace {

using gobuildenv::cli::ExitCode;

constexpr const char* kDescription =
    "Gives CI build pods a correct Go environment.\n"
    "\n"
    "A GoBuildEnv object declares a Go toolchain, a CGO policy, module proxies and a conda base\n"
    "image. `manager` runs in the cluster and changes build pods that ask for it; the other\n"
    "commands do the same offline, from files, with the same code.";

constexpr const char* kFooter =
    "Try it without a cluster:\n"
    "  gobuildenv render -f env.yaml                  the objects an environment becomes\n"
    "  gobuildenv inject -e env.yaml -f pod.yaml      the pod as admission would change it\n"
    "  gobuildenv explain -e env.yaml -f pod.yaml     why, container by container\n"
    "\n"
    "Exit codes: 0 done; 1 the answer is no (invalid environment, pod unchanged); 2 wrong usage;\n"
    "3 unreadable input; 4 a server did not answer; 70 a defect of this program.";

int run(int argc, char** argv) {
  ExitCode exit = ExitCode::Ok;
  CLI::App app{kDescription, "gobuildenv"};
  app.footer(kFooter);
  app.set_version_flag("--version", std::string(gobuildenv::cli::kVersionText));
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  gobuildenv::cli::add_render_command(app, exit);
  gobuildenv::cli::add_inject_command(app, exit);
  gobuildenv::cli::add_explain_command(app, exit);
  gobuildenv::cli::add_gc_command(app, exit);
  gobuildenv::cli::add_prepare_uninstall_command(app, exit);
  gobuildenv::cli::add_manager_command(app, exit);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version are "errors" with code 0; everything else is wrong usage.
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::Usage);
  }
  return static_cast<int>(exit);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr,
                 "gobuildenv: internal error: %s\nPlease report it with the command line.\n",
                 error.what());
    return static_cast<int>(ExitCode::Internal);
  }
}
