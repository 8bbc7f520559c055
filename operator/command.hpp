#pragma once

#include "operator/exit_code.hpp"

namespace CLI {
class App;
}

/// One function per subcommand: it declares the flags on `app`; when the subcommand is the one that
/// was called, it runs it and leaves the outcome in `exit`.
namespace gobuildenv::cli {

void add_manager_command(CLI::App& app, ExitCode& exit);
void add_render_command(CLI::App& app, ExitCode& exit);
void add_inject_command(CLI::App& app, ExitCode& exit);
void add_explain_command(CLI::App& app, ExitCode& exit);
void add_gc_command(CLI::App& app, ExitCode& exit);
void add_prepare_uninstall_command(CLI::App& app, ExitCode& exit);

}  // namespace gobuildenv::cli
