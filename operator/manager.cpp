#include <CLI/CLI.hpp>
#include <cstdlib>
#include <memory>

#include "operator/bind_address.hpp"
#include "operator/command.hpp"
#include "operator/manager_options.hpp"

namespace gobuildenv::cli {

void add_manager_command(CLI::App& app, ExitCode& exit) {
  auto flags = std::make_shared<ManagerFlags>();
  CLI::App* command = app.add_subcommand(
      "manager",
      "Run the operator: reconcile GoBuildEnvs and serve the admission webhooks.\n"
      "In a pod it needs no flags but those of the chart. Off-cluster, for development:\n"
      "  gobuildenv manager --kubeconfig ~/.kube/config --webhook-port 9443 --cert-dir ./certs\n"
      "Exit: 0 told to stop; 2 wrong usage; 3 a kubeconfig, certificate or port that cannot be "
      "used;\n"
      "75 another replica has taken the lease, start again.");

  const auto cluster = [&](auto* option) { option->group("Cluster"); };
  cluster(command->add_option("--kubeconfig", flags->kubeconfig,
                              "kubeconfig file; else $KUBECONFIG, the pod's own, ~/.kube/config"));
  cluster(command->add_option("--context", flags->context, "context of the kubeconfig"));
  cluster(command->add_option("--watch-namespace", flags->watch_namespace,
                              "look at this namespace only (default: all)"));
  cluster(command->add_option("--lease-namespace", flags->own_namespace,
                              "namespace of the Lease and of the certificate's Secret\n"
                              "(default: $POD_NAMESPACE, else the context's)"));
  cluster(
      command
          ->add_option("--exclude-namespaces", flags->exclude_namespaces,
                       "never touch pods of these, NAME,NAME,… nor those of kube-system and of\n"
                       "the namespace of the Lease")
          ->delimiter(',')
          ->allow_extra_args(false));
  cluster(command->add_option("--leader-elect", flags->leader_elect,
                              "one of several replicas reconciles; false leads at once"));
  cluster(command->add_option("--workers", flags->workers, "GoBuildEnvs reconciled at once")
              ->check(CLI::Range(1, 64)));

  const auto webhook = [&](auto* option) { option->group("Webhook"); };
  webhook(command->add_option("--webhook-address", flags->webhook_address,
                              "address to listen on (default: all)"));
  webhook(command->add_option("--webhook-port", flags->webhook_port, "port to listen on")
              ->check(CLI::Range(0, 65535)));
  webhook(command->add_option("--webhook-threads", flags->webhook_threads, "threads that serve")
              ->check(CLI::Range(1, 64)));
  webhook(command->add_option("--tls-min-version", flags->tls_min_version, "1.2 or 1.3")
              ->check(CLI::IsMember({"1.2", "1.3"})));
  webhook(command->add_option("--cert-dir", flags->cert_dir,
                              "folder with tls.crt and tls.key to serve, read again when replaced\n"
                              "(default: make and rotate a certificate in --cert-secret)"));
  webhook(command->add_option("--cert-secret", flags->cert_secret, "Secret of the certificate"));
  webhook(command->add_flag("--cert-external", flags->cert_external,
                            "--cert-secret is kept by somebody else (cert-manager): only load it"));
  webhook(command
              ->add_option("--cert-settle-seconds", flags->cert_settle_seconds,
                           "how long each step of a CA's rotation is given to reach every API\n"
                           "server and replica before the next relies on it")
              ->check(CLI::Range(5, 3600)));
  webhook(command->add_option("--webhook-service", flags->webhook_service,
                              "Service of the webhook, for the certificate's names"));
  webhook(command->add_option("--webhook-config", flags->webhook_config,
                              "name of both webhook configurations that get the caBundle"));
  webhook(command
              ->add_option("--drain-seconds", flags->drain_seconds,
                           "after SIGTERM: unready, but still serving, for so long")
              ->check(CLI::Range(0, 120)));

  const auto probes = [&](auto* option) { option->group("Probes and log"); };
  probes(command
             ->add_option("--metrics-bind", flags->metrics_bind,
                          "HOST:PORT or :PORT of /metrics, or off")
             ->check(CLI::Validator(bind_error, "")));
  probes(command
             ->add_option("--health-bind", flags->health_bind,
                          "HOST:PORT or :PORT of /healthz and /readyz, or off")
             ->check(CLI::Validator(bind_error, "")));
  probes(command->add_option("--log-format", flags->log_format, "text or json")
             ->check(CLI::IsMember({"text", "json"})));
  probes(command->add_option("--log-level", flags->log_level, "debug, info, warn or error")
             ->check(CLI::IsMember({"debug", "info", "warn", "error"})));

  const auto modules = [&](auto* option) { option->group("Modules"); };
  modules(command
              ->add_option("--module-proxy", flags->module_proxy,
                           "proxies in GOPROXY's form: where 1.N is looked up, and what a\n"
                           "GoBuildEnv without spec.modules.proxies gets (default: $GOPROXY)")
              ->envname("GOPROXY"));
  modules(command->add_option("--module-proxy-ca", flags->module_proxy_ca,
                              "PEM file of a private CA of the proxies, beside the system's"));
  modules(command->add_option("--sum-db", flags->sum_db,
                              "GOSUMDB of a GoBuildEnv that names none (default: Go's)"));

  for (auto* option : command->get_options()) option->capture_default_str();
  command->callback([flags, &exit] { exit = run_manager(*flags); });
}

}  // namespace gobuildenv::cli
