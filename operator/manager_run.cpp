#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "controllers/manager.hpp"
#include "goenv/proxy_list.hpp"
#include "kube/health.hpp"
#include "kube/http_server.hpp"
#include "kube/make_client.hpp"
#include "kube/metrics.hpp"
#include "kube/proxy_environment.hpp"
#include "kube/web_transport.hpp"
#include "operator/cluster.hpp"
#include "operator/logging.hpp"
#include "operator/manager_options.hpp"
#include "operator/process.hpp"
#include "operator/webhook_service.hpp"
#include "webhooks/server/certificate_files.hpp"

namespace gobuildenv::cli {

namespace {

/// Unique per process, readable in a Lease: host name and something random.
std::string identity(const kube::Random& random) {
  return fmt::format("{}_{:08x}", host_name(), static_cast<std::uint32_t>(random() * 4294967296.0));
}

struct Servers {
  std::unique_ptr<kube::HttpServer> metrics;
  std::unique_ptr<kube::HttpServer> health;
};

controllers::WebTransportFactory web_transports(std::string ca) {
  return [ca = std::move(ca)](const std::string& url) {
    kube::WebOptions options;
    options.base_url = url;
    options.extra_ca = ca;
    if (const auto parsed = kube::parse_url(url)) {
      options.proxy_url = kube::proxy_from_environment(*parsed, environment);
    }
    return kube::make_web_transport(std::move(options));
  };
}

/// certwatcher_read_certificate_…, brought up to date at each scrape.
kube::Metrics::Registration count_reads(const webhooks::certificates::CertificateFiles& files,
                                        kube::Metrics& metrics) {
  return metrics.add_collector(
      [&files, reads = metrics.certificate_reads(), errors = metrics.certificate_read_errors(),
       counted_reads = std::uint64_t{0}, counted_errors = std::uint64_t{0}]() mutable {
        const auto now_read = files.reads();
        const auto now_failed = files.errors();
        reads.add(static_cast<double>(now_read - counted_reads));
        errors.add(static_cast<double>(now_failed - counted_errors));
        counted_reads = now_read;
        counted_errors = now_failed;
      });
}

int fail(ExitCode code, const std::string& text) {
  fmt::print(stderr, "gobuildenv manager: {}\n", text);
  return static_cast<int>(code);
}

controllers::ManagerOptions manager_options(const ManagerFlags& flags,
                                            std::vector<goenv::Proxy> proxies, std::string ca) {
  controllers::ManagerOptions options;
  options.watch_namespace = flags.watch_namespace;
  options.leader_election = flags.leader_elect;
  options.workers = flags.workers;
  options.defaults.proxies = proxies;
  options.defaults.sum_db = flags.sum_db;
  options.resolver.proxies = std::move(proxies);
  options.web_transport = web_transports(std::move(ca));
  options.certificates = !flags.cert_dir.empty() ? controllers::CertificateMode::Files
                         : flags.cert_external   ? controllers::CertificateMode::Secret
                                                 : controllers::CertificateMode::SelfManaged;
  options.secret_name = flags.cert_secret;
  options.certificate_settle = std::chrono::seconds(flags.cert_settle_seconds);
  options.service_name = flags.webhook_service;
  options.mutating_configuration = flags.webhook_config;
  options.validating_configuration = flags.webhook_config;
  return options;
}

int run(const ManagerFlags& flags) {
  Signals signals;
  auto proxies = goenv::parse_proxy_list(flags.module_proxy);
  if (!proxies) return fail(ExitCode::Usage, "--module-proxy: " + proxies.error());
  auto ca = read_pem("--module-proxy-ca", flags.module_proxy_ca);
  if (!ca) return fail(ExitCode::Input, ca.error());

  kube::RealClock clock;
  const kube::Random random = kube::make_random();
  const auto cluster = open_cluster(flags.kubeconfig, flags.context, clock);
  if (!cluster) return fail(ExitCode::Input, cluster.error());

  kube::Metrics metrics;
  kube::HealthChecks live("healthz");
  kube::HealthChecks ready("readyz");

  // Probes first: a kubelet asks while the caches fill.
  std::atomic<bool> draining{false};
  ready.add("shutdown", [&draining]() -> std::optional<std::string> {
    if (draining) return "stopping";
    return std::nullopt;
  });
  Servers servers;
  auto health = listen("--health-bind", flags.health_bind, health_handler(live, ready));
  if (!health) return fail(ExitCode::Input, health.error());
  servers.health = std::move(*health);
  auto exposition = listen("--metrics-bind", flags.metrics_bind, metrics_handler(metrics));
  if (!exposition) return fail(ExitCode::Input, exposition.error());
  servers.metrics = std::move(*exposition);

  auto options = manager_options(flags, std::move(*proxies), std::move(*ca));
  options.identity = identity(random);
  options.own_namespace = !flags.own_namespace.empty()            ? flags.own_namespace
                          : !environment("POD_NAMESPACE").empty() ? environment("POD_NAMESPACE")
                                                                  : cluster->ns;

  const std::vector<std::string> excluded = excluded_namespaces(flags, options.own_namespace);
  options.excluded_namespaces = excluded;

  std::unique_ptr<WebhookService> webhook;
  controllers::Manager* manager_to_stop = nullptr;
  std::atomic<bool> broken{false};
  options.on_certificate = [&](const webhooks::certificates::KeyPair& pair) {
    if (const auto used = webhook->use(pair); !used) {
      spdlog::error("the webhook cannot serve error=\"{}\"", used.error());
      if (!webhook->serving()) {
        broken = true;
        manager_to_stop->request_stop();
      }
    }
  };
  const auto use_certificate = options.on_certificate;
  const std::string own_namespace = options.own_namespace;
  const std::string self = options.identity;

  controllers::ManagerEdges edges{[&](kube::WriteFence fence, kube::RequestStop* stop) {
                                    kube::ClientOptions client;
                                    client.fence = std::move(fence);
                                    client.clock = &clock;
                                    client.stop = stop;
                                    client.random = random;
                                    client.count = [&metrics](const std::string& code,
                                                              const std::string& method,
                                                              const std::string& host) {
                                      metrics.count_request(code, method, host);
                                    };
                                    return kube::make_client(cluster->parts, std::move(client));
                                  },
                                  clock, metrics, random};

  controllers::Manager manager(std::move(options), std::move(edges));
  manager_to_stop = &manager;

  WebhookService::Options service;
  service.server.address = flags.webhook_address;
  service.server.port = flags.webhook_port;
  service.server.threads = flags.webhook_threads;
  service.server.min_tls = flags.tls_min_version == "1.3" ? webhooks::server::TlsVersion::Tls13
                                                          : webhooks::server::TlsVersion::Tls12;
  service.excluded_namespaces = excluded;
  webhook = std::make_unique<WebhookService>(std::move(service), manager.lookup(), metrics);
  manager.add_checks(live, ready);
  ready.add("webhook", [&webhook]() -> std::optional<std::string> {
    if (webhook->serving()) return std::nullopt;
    return "no certificate yet, or the port cannot be bound";
  });

  webhooks::certificates::CertificateFiles files(flags.cert_dir);
  std::optional<webhooks::certificates::CertificateWatcher> watcher;
  kube::Metrics::Registration file_metrics;
  if (!flags.cert_dir.empty()) {
    const auto pair = files.reload();
    if (!pair) return fail(ExitCode::Input, "--cert-dir: " + files.last_error());
    if (auto used = webhook->use(*pair); !used) return fail(ExitCode::Input, used.error());
    file_metrics = count_reads(files, metrics);
    watcher.emplace(files, std::chrono::seconds(2), use_certificate, [](const std::string& error) {
      spdlog::warn("the certificate cannot be read; the one in use stays error=\"{}\"", error);
    });
  }

  signals.on_first([&manager] { manager.request_stop(); });
  spdlog::info("manager starts identity={} namespace={} server={}", self, own_namespace,
               cluster->parts.host);
  manager.start();
  const auto end = manager.wait();

  draining = true;
  webhook->begin_drain();
  const auto drained = clock.now() + std::chrono::seconds(flags.drain_seconds);
  manager.stop_controllers();
  // With the workers gone there is nothing left that writes: the next leader need not wait for the
  // webhook to drain.
  manager.release_lease();
  if (!broken) std::this_thread::sleep_until(drained);
  watcher.reset();
  webhook->stop(std::chrono::seconds(5));
  servers = {};
  if (broken) return static_cast<int>(ExitCode::Input);
  if (end == controllers::Manager::End::LostLease) return static_cast<int>(ExitCode::LostLease);
  spdlog::info("stopped");
  return static_cast<int>(ExitCode::Ok);
}

}  // namespace

ExitCode run_manager(const ManagerFlags& flags) {
  cap_malloc();
  set_up_logging(flags.log_format, flags.log_level);
  return static_cast<ExitCode>(run(flags));
}

}  // namespace gobuildenv::cli
