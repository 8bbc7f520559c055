#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <system_error>

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
    "3 unreadable input, or output that cannot be written; 4 a server did not answer; 70 a defect\n"
    "of this program.";

/// Says which commands there are when the first word is none of them.
bool names_no_command(CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return false;
  std::string known;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (command->get_name() == argv[1]) return false;
    known += (known.empty() ? "" : ", ") + command->get_name();
  }
  std::fprintf(stderr, "gobuildenv: there is no command %s; the commands are %s\n", argv[1],
               known.c_str());
  return true;
}

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
  if (names_no_command(app, argc, argv)) return static_cast<int>(ExitCode::Usage);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version are "errors" with code 0; everything else is wrong usage.
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::Usage);
  }
  return static_cast<int>(exit);
}

int defect(const std::exception& error) {
  std::fprintf(stderr, "gobuildenv: internal error: %s\nPlease report it with the command line.\n",
               error.what());
  return static_cast<int>(ExitCode::Internal);
}

/// Whoever reads the output must not take a part of it for the whole.
int unwritten(const char* why) {
  std::fprintf(stderr, "gobuildenv: standard output: %s\n", why);
  return static_cast<int>(ExitCode::Input);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const int exit = run(argc, argv);
    if (std::fflush(stdout) != 0) return unwritten(std::strerror(errno));
    return exit;
  } catch (const std::system_error& error) {
    if (std::ferror(stdout) != 0) return unwritten(error.code().message().c_str());
    return defect(error);
  } catch (const std::exception& error) {
    return defect(error);
  }
}
