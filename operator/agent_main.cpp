#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "operator/agent_flags.hpp"
#include "operator/bind_address.hpp"
#include "operator/version.hpp"

namespace {

using gobuildenv::cli::AgentFlags;
using gobuildenv::cli::ExitCode;

constexpr const char* kDescription =
    "The node agent of gobuildenv: one on each build node.\n"
    "\n"
    "It keeps verified Go toolchains below --root and gives them to build pods, read-only, as CSI\n"
    "inline volumes (driver gobuildenv.dev). It needs root and CAP_SYS_ADMIN, for mounts; the "
    "chart\n"
    "runs it as a DaemonSet.";

constexpr const char* kFooter =
    "Try it without a cluster, as root (no kubelet will find it, but everything else works):\n"
    "  mkdir -p /tmp/kubelet && gobuildenv-agent --standalone --node-name $(hostname) \\\n"
    "    --root /tmp/gobuildenv --kubelet-dir /tmp/kubelet\n"
    "\n"
    "Toolchains come from --proxies only, in order, by Go's rules: after `,` the next is asked "
    "when\n"
    "one says 404 or 410, after `|` on any error. `direct` and `off` are left out. Each is "
    "verified by\n"
    "the checksum database (--sum-db), or by the sum that a GoBuildEnv pins.\n"
    "\n"
    "Exit codes: 0 stopped; 2 wrong usage; 3 unreadable input, or a folder or port that cannot be\n"
    "used; 70 a defect of this program.";

void add_flags(CLI::App& app, AgentFlags& flags) {
  const auto node = [](auto* option) { option->group("Node"); };
  node(app.add_option("--root", flags.root, "folder of toolchains and volumes, one file system"));
  node(app.add_option("--kubelet-dir", flags.kubelet_dir,
                      "the kubelet's --root-dir, at the same path as the kubelet sees it"));
  node(app.add_option("--csi-socket", flags.csi_socket,
                      "socket that the kubelet calls (default: plugins/gobuildenv.dev/csi.sock\n"
                      "below --kubelet-dir)"));
  node(app.add_option("--node-name", flags.node_name, "name of this node in the cluster")
           ->envname("NODE_NAME"));
  node(app.add_option("--startup-taint", flags.startup_taint,
                      "key[=value]:Effect, taken from the node once the driver is registered"));
  node(app.add_option("--volume-wait-seconds", flags.volume_wait_seconds,
                      "how long a pod waits for a toolchain before it starts without one; the\n"
                      "kubelet gives up after 120")
           ->check(CLI::Range(0, 105)));

  const auto modules = [](auto* option) { option->group("Toolchains"); };
  modules(app.add_option("--proxies", flags.proxies,
                         "module proxies in GOPROXY's form (default: $GOPROXY, else what the\n"
                         "newest toolchain in the store says in its go.env)")
              ->envname("GOPROXY"));
  modules(app.add_option("--proxies-ca", flags.proxies_ca,
                         "PEM file of a private CA of the proxies, beside the system's"));
  modules(app.add_option("--proxies-netrc", flags.proxies_netrc,
                         "netrc file with the proxies' credentials"));
  modules(app.add_option("--sum-db", flags.sum_db,
                         "checksum database in GOSUMDB's form, NAME or NAME+ID+KEY and a URL\n"
                         "(default: Go's own)"));
  modules(app.add_option("--parallel-fetches", flags.parallel_fetches, "toolchains at once")
              ->check(CLI::Range(1, 16)));

  const char* collection = "Collection";
  app.add_option("--collect-interval", flags.collect_interval,
                 "between runs of the collector; the disk is looked at more often")
      ->group(collection);
  gobuildenv::cli::add_limit_flags(app, flags.limits, collection);
  app.add_option("--delete-rate", flags.delete_rate,
                 "files a second that are deleted in the background; 0: as fast as it goes")
      ->group(collection);

  const auto cluster = [](auto* option) { option->group("Cluster"); };
  cluster(app.add_option("--kubeconfig", flags.kubeconfig,
                         "kubeconfig file; else $KUBECONFIG, the pod's own, ~/.kube/config"));
  cluster(app.add_option("--context", flags.context, "context of the kubeconfig"));
  cluster(app.add_flag("--standalone", flags.standalone,
                       "ask no cluster: volumes get whatever release they name"));

  const auto probes = [](auto* option) { option->group("Probes and log"); };
  probes(
      app.add_option("--metrics-bind", flags.metrics_bind, "HOST:PORT or :PORT of /metrics, or off")
          ->check(CLI::Validator(gobuildenv::cli::bind_error, "")));
  probes(app.add_option("--health-bind", flags.health_bind,
                        "HOST:PORT or :PORT of /healthz and /readyz, or off")
             ->check(CLI::Validator(gobuildenv::cli::bind_error, "")));
  probes(app.add_option("--log-format", flags.log_format, "text or json")
             ->check(CLI::IsMember({"text", "json"})));
  probes(app.add_option("--log-level", flags.log_level, "debug, info, warn or error")
             ->check(CLI::IsMember({"debug", "info", "warn", "error"})));
  for (auto* option : app.get_options()) option->capture_default_str();
}

int run(int argc, char** argv) {
  CLI::App app{kDescription, "gobuildenv-agent"};
  AgentFlags flags;
  app.footer(kFooter);
  app.set_version_flag("--version", std::string(gobuildenv::cli::kVersionText));
  app.failure_message(CLI::FailureMessage::simple);
  add_flags(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::Usage);
  }
  return static_cast<int>(gobuildenv::cli::run_agent(flags));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr,
                 "gobuildenv-agent: internal error: %s\nPlease report it with the command line.\n",
                 error.what());
    return static_cast<int>(ExitCode::Internal);
  }
}
