#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "agent/node/node_agent.hpp"
#include "agent/node/root_lock.hpp"
#include "agent/sumdb/database.hpp"
#include "agent/toolchains/fetching_provider.hpp"
#include "agent/toolchains/store.hpp"
#include "kube/files.hpp"
#include "kube/make_client.hpp"
#include "operator/agent_flags.hpp"
#include "operator/cluster.hpp"
#include "operator/idle_pages.hpp"
#include "operator/logging.hpp"
#include "operator/process.hpp"
#include "operator/version.hpp"

namespace gobuildenv::cli {
namespace {

constexpr std::chrono::seconds kGrace{10};
/// For another agent on this node to end.
constexpr std::chrono::seconds kPatience{40};

ExitCode fail(ExitCode code, const std::string& text) {
  fmt::print(stderr, "gobuildenv-agent: {}\n", text);
  return code;
}

/// An existing folder's path without symlinks, as mountinfo writes it.
tl::expected<std::string, std::string> resolve(const char* flag, const std::string& path,
                                               bool make) {
  std::error_code error;
  if (make) std::filesystem::create_directories(path, error);
  auto resolved = std::filesystem::canonical(path, error);
  if (error) return tl::unexpected(fmt::format("{}: {}: {}", flag, path, error.message()));
  return resolved.string();
}

/// Otherwise as given: the kubelet writes its folder's name as it was told it, too.
std::string without_slash(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

tl::expected<agent::FetchOptions, std::string> fetch_options(const AgentFlags& flags,
                                                             const std::string& root) {
  agent::FetchOptions out;
  auto proxies = agent_proxies(flags, root);
  if (!proxies) return tl::unexpected(std::move(proxies.error()));
  out.proxies = std::move(*proxies);
  const std::string setting =
      flags.sum_db.empty() ? std::string(agent::sumdb::known_key()) : flags.sum_db;
  if (!setting.empty()) {
    auto database = agent::sumdb::parse_database(setting);
    if (!database) return tl::unexpected("--sum-db: " + database.error());
    out.database = std::move(*database);
  }
  auto ca = read_pem("--proxies-ca", flags.proxies_ca);
  if (!ca) return tl::unexpected(std::move(ca.error()));
  out.web.ca = std::move(*ca);
  if (!flags.proxies_netrc.empty()) {
    auto netrc = kube::read_small_file(flags.proxies_netrc);
    if (!netrc) {
      return tl::unexpected(
          fmt::format("--proxies-netrc: {}: {}", flags.proxies_netrc, netrc.error().message()));
    }
    out.web.netrc = std::move(*netrc);
  }
  out.web.environment = environment;
  return out;
}

/// The way to the API server; null with --standalone.
tl::expected<std::unique_ptr<kube::Client>, std::string> connect(const AgentFlags& flags,
                                                                 kube::RealClock& clock,
                                                                 kube::RequestStop& stop,
                                                                 const kube::Random& random,
                                                                 kube::Metrics& metrics) {
  if (flags.standalone) return nullptr;
  auto cluster = open_cluster(flags.kubeconfig, flags.context, clock);
  if (!cluster) {
    return tl::unexpected(cluster.error() + "\nWithout a cluster, for development: --standalone");
  }
  kube::ClientOptions options;
  options.clock = &clock;
  options.stop = &stop;
  options.random = random;
  options.user_agent = "gobuildenv-agent";
  options.count = [&metrics](const std::string& code, const std::string& method,
                             const std::string& host) {
    metrics.count_request(code, method, host);
  };
  return kube::make_client(std::move(cluster->parts), std::move(options));
}

ExitCode run(const AgentFlags& flags) {
  Signals signals;
  if (flags.node_name.empty()) {
    return fail(ExitCode::Usage,
                "--node-name (or $NODE_NAME) is needed: the node's name as the "
                "cluster knows it");
  }
  const auto root = resolve("--root", flags.root, true);
  if (!root) return fail(ExitCode::Input, root.error());
  const auto kubelet_dir = resolve("--kubelet-dir", flags.kubelet_dir, false);
  if (!kubelet_dir) return fail(ExitCode::Input, kubelet_dir.error());
  auto fetch = fetch_options(flags, *root);
  if (!fetch) return fail(ExitCode::Input, fetch.error());
  const auto triggers = agent_triggers(flags);
  if (!triggers) return fail(ExitCode::Usage, triggers.error());
  auto limits = apply_limits(flags.limits, {});
  if (!limits) return fail(ExitCode::Usage, limits.error());

  std::optional<agent::Taint> startup_taint;
  if (!flags.startup_taint.empty()) {
    auto parsed = agent::parse_taint(flags.startup_taint);
    if (!parsed) return fail(ExitCode::Usage, "--startup-taint: " + parsed.error());
    startup_taint = std::move(*parsed);
  }

  kube::RealClock clock;
  const kube::Random random = kube::make_random();
  kube::RequestStop stop;
  kube::Metrics metrics;
  kube::HealthChecks live("healthz");
  kube::HealthChecks ready("readyz");
  auto health = listen("--health-bind", flags.health_bind, health_handler(live, ready));
  if (!health) return fail(ExitCode::Input, health.error());
  auto exposition = listen("--metrics-bind", flags.metrics_bind, metrics_handler(metrics));
  if (!exposition) return fail(ExitCode::Input, exposition.error());
  auto cluster = connect(flags, clock, stop, random, metrics);
  if (!cluster) return fail(ExitCode::Input, cluster.error());

  const auto lock = agent::RootLock::take(*root, kPatience, clock);
  if (!lock) return fail(ExitCode::Input, "--root: " + lock.error());
  auto store = agent::ToolchainStore::open(*root);
  if (!store) return fail(ExitCode::Input, "--root: " + store.error().message);
  if (fetch->proxies.empty()) {
    spdlog::warn(
        "no module proxy is configured; toolchains that are not in the store stay absent "
        "flag=--proxies");
  }
  if (!fetch->database) {
    spdlog::warn("no checksum database is known; only pinned toolchains are fetched flag=--sum-db");
  }
  agent::ProviderOptions provider_options;
  provider_options.fetch = std::move(*fetch);
  provider_options.parallel = flags.parallel_fetches;
  agent::FetchReporter fetches(metrics);
  provider_options.changed = [&fetches](const auto& want, const auto& state, const auto& figures) {
    fetches.changed(want, state, figures);
  };
  const auto provider =
      agent::make_toolchain_provider(*store, std::move(provider_options), clock, random);

  agent::NodeAgentOptions options;
  options.root = *root;
  options.kubelet_dir = without_slash(flags.kubelet_dir);
  options.node_name = flags.node_name;
  options.version = std::string(kVersionText).substr(kVersionText.rfind(' ') + 1);
  options.socket = flags.csi_socket;
  options.pod_name = environment("POD_NAME");
  options.startup_taint = std::move(startup_taint);
  options.volume_wait = std::chrono::seconds(flags.volume_wait_seconds);
  options.collect = *triggers;
  options.limits = std::move(*limits);
  options.delete_rate = flags.delete_rate;
  auto node = agent::NodeAgent::open(std::move(options),
                                     {*provider, clock, metrics, random, cluster->get(), &fetches});
  if (!node) return fail(ExitCode::Input, node.error());
  (*node)->add_checks(ready);
  std::atomic<bool> told{false};
  signals.on_first([&] {
    told = true;
    stop.stop();
  });
  spdlog::info("agent starts node={} root={} kubelet={}", flags.node_name, *root, *kubelet_dir);
  if (auto started = (*node)->start(); !started) {
    health->reset();
    return fail(ExitCode::Input, started.error());
  }

  IdlePages pages;
  while (!told) {
    stop.sleep(clock, IdlePages::kInterval);
    if (!told && pages.look(process_cpu())) give_back_code();
  }
  (*node)->stop(kGrace);
  spdlog::info("stopped");
  // A download may be waiting for an answer; every instant of it is safe to end at.
  std::fflush(nullptr);
  _exit(static_cast<int>(ExitCode::Ok));
}

}  // namespace

ExitCode run_agent(const AgentFlags& flags) {
  cap_malloc();
  set_up_logging(flags.log_format, flags.log_level);
  return run(flags);
}

}  // namespace gobuildenv::cli
