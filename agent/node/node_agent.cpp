#include "agent/node/node_agent.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "agent/collector/fd.hpp"
#include "agent/collector/node_time.hpp"
#include "agent/collector/root_scan.hpp"
#include "agent/collector/trash_emptier.hpp"
#include "agent/csi/mounter.hpp"
#include "agent/csi/private_parts.hpp"
#include "agent/csi/recover_volumes.hpp"
#include "agent/csi/volume_registry.hpp"
#include "agent/csi/volume_service.hpp"
#include "agent/node/cache_sharing.hpp"
#include "agent/node/cluster_view.hpp"
#include "agent/node/collection.hpp"
#include "agent/node/environment_record.hpp"
#include "agent/node/node_cache_facts.hpp"
#include "agent/node/node_cache_publisher.hpp"
#include "agent/node/prefetcher.hpp"
#include "agent/node/promotion_reporter.hpp"
#include "agent/node/volume_reporter.hpp"
#include "goenv/names.hpp"
#include "kube/informer.hpp"
#include "kube/object_meta.hpp"

namespace gobuildenv::agent {
namespace {

const kube::ResourceType kGoBuildEnvType{"gobuildenv.dev", "v1alpha1", "gobuildenvs", "GoBuildEnv",
                                         true};
const kube::ResourceType kNamespaceType{"", "v1", "namespaces", "Namespace", false};
constexpr std::chrono::seconds kNamespaceTimeout{5};
constexpr std::chrono::seconds kTaintTimeout{10};

std::string default_socket(const std::string& kubelet_dir) {
  return fmt::format("{}/plugins/{}/csi.sock", kubelet_dir, goenv::kCsiDriver);
}

tl::expected<void, std::string> make_folder(const std::string& path, unsigned mode) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return tl::unexpected(fmt::format("cannot make {}: {}", path, error.message()));
  // Only where it differs: on a read-only disk even that would fail.
  struct stat found {};
  const bool right = ::stat(path.c_str(), &found) == 0 && (found.st_mode & 07777) == mode;
  if (mode != 0 && !right && ::chmod(path.c_str(), mode) != 0) {
    return tl::unexpected(fmt::format("cannot set the mode of {}: {}", path, ::strerror(errno)));
  }
  return {};
}

void report_emptied(const collector::EmptyReport& report) {
  if (report.failed == 0) {
    spdlog::info("trash emptied entries={}", report.entries);
  } else {
    spdlog::warn("trash cannot be emptied entries={} left={} error=\"{}\"", report.entries,
                 report.failed, report.error);
  }
}

kube::InformerOptions watch_environments() {
  kube::InformerOptions options;
  options.type = kGoBuildEnvType;
  return options;
}

}  // namespace

/// The parts that need a cluster.
struct ClusterSide {
  ClusterSide(kube::Client& client_in, NodeAgentEdges& edges, const NodeAgentOptions& options,
              const NodePlatform& platform, std::function<NodeCacheFacts()> gather,
              std::function<void()> changed)
      : client(client_in),
        environments(
            {client, edges.clock, edges.random, &edges.metrics}, watch_environments(),
            [platform](std::string_view json) { return decode_environment(json, platform); }),
        pods({client, edges.clock, edges.random, &edges.metrics}, watch_pods_of(options.node_name),
             decode_pod),
        view(
            options.root, platform, environments, pods,
            [this](const std::string& ns) { return namespace_uid(ns); }, std::move(changed)),
        events(client, event_options(options), edges.clock, edges.random),
        publisher(options.node_name, std::move(gather),
                  {client, events, edges.clock, edges.metrics, edges.random}) {}

  static kube::EventRecorderOptions event_options(const NodeAgentOptions& options) {
    kube::EventRecorderOptions out;
    out.series.controller = "gobuildenv.dev/agent";
    out.series.instance = options.pod_name.empty() ? options.node_name : options.pod_name;
    return out;
  }

  /// Asked each time: a namespace that was made again has another uid.
  std::string namespace_uid(const std::string& name) {
    const auto json = client.get(kNamespaceType, {{}, name},
                                 std::chrono::steady_clock::now() + kNamespaceTimeout);
    if (!json) return {};
    const auto identity = kube::decode_identity(*json);
    return identity ? identity->meta.uid : std::string();
  }

  kube::Client& client;
  kube::Informer<EnvironmentRecord> environments;
  kube::Informer<PodRecord> pods;
  ClusterView view;
  kube::EventWriter events;
  NodeCachePublisher publisher;
};

struct NodeAgent::Impl {
  Impl(NodeAgentOptions given, NodeAgentEdges given_edges)
      : options(std::move(given)), edges(std::move(given_edges)), platform(this_platform()) {}

  tl::expected<void, std::string> open() {
    if (options.socket.empty()) options.socket = default_socket(options.kubelet_dir);
    const std::string pods_dir = options.kubelet_dir + "/pods";
    // Nobody but root may reach the pods' private parts from outside their mounts.
    if (auto made = make_folder(options.root, 0700); !made) return made;
    auto parts = PrivateParts::open(options.root);
    if (!parts) return tl::unexpected(std::move(parts.error()));
    files.emplace(std::move(*parts));
    std::vector<std::string> unreadable;
    auto opened = VolumeRegistry::open(options.root, unreadable);
    if (!opened) return tl::unexpected(std::move(opened.error()));
    registry = std::move(*opened);
    for (const std::string& one : unreadable) {
      spdlog::warn("volume record dropped, it cannot be read record=\"{}\"", one);
    }
    std::error_code error;
    auto real_pods_dir = std::filesystem::weakly_canonical(pods_dir, error).string();
    if (error) return tl::unexpected(fmt::format("{}: {}", pods_dir, error.message()));
    const auto recovered = recover_volumes(*registry, *files, options.root, real_pods_dir);
    if (!recovered) return tl::unexpected(recovered.error());
    for (const std::string& note : recovered->notes) spdlog::warn("{}", note);
    mounter = make_kernel_mounter(options.root, pods_dir);
    if (edges.client != nullptr) {
      cluster.emplace(
          *edges.client, edges, options, platform, [this] { return look_around(); },
          [this] { collection->changed(); });
      open_prefetcher();
    }
    if (auto opened_collection = open_collection(); !opened_collection) return opened_collection;
    reporter.emplace(cluster ? &cluster->events : nullptr, edges.metrics, *registry,
                     [this](const VolumeRecord& record) {
                       for (const std::string& unit : record.units()) collection->used(unit);
                       collection->changed();
                       emptier->wake();
                     });
    if (auto shared = open_caches(); !shared) return shared;
    VolumeServiceOptions service_options;
    service_options.root = options.root;
    service_options.pods_dir = pods_dir;
    service_options.boot_id = boot_id;
    service_options.wait = options.volume_wait;
    volumes.emplace(
        std::move(service_options),
        VolumeService::Parts{
            *registry, *files, *mounter, edges.toolchains,
            [this](const VolumeSpec& spec) { return want(spec); }, edges.clock, *reporter,
            [this](std::string folder, std::string why) {
              return take_lease(std::move(folder), std::move(why));
            },
            caches.get(),
            [this](const VolumeSpec& spec, const ToolchainWant& it) { return newer(spec, it); }});
    return {};
  }

  tl::expected<void, std::string> open_collection() {
    CollectionOptions wanted;
    wanted.root = options.root;
    wanted.pods_dir = options.kubelet_dir + "/pods";
    wanted.limits = options.limits;
    wanted.triggers = options.collect;
    auto opened = Collection::open(
        std::move(wanted), {edges.clock, edges.metrics, *registry, leases,
                            cluster ? &cluster->view : nullptr, [this] { emptier->wake(); }});
    if (!opened) return tl::unexpected(std::move(opened.error()));
    collection = std::move(*opened);
    return {};
  }

  UnitLease take_lease(std::string folder, std::string why) {
    return std::make_shared<collector::Leases::Lease>(
        leases.take(std::move(folder), std::move(why)));
  }

  /// Without a cluster nobody says which pods may share what.
  tl::expected<void, std::string> open_caches() {
    if (!cluster) return {};
    auto opened = share_caches(
        options.root, boot_id, edges.clock, cluster->environments,
        [this](const std::string& ns) { return cluster->namespace_uid(ns); },
        [this](std::string folder, std::string why) {
          return take_lease(std::move(folder), std::move(why));
        },
        [this](const PromotionResult& result) {
          promotions.report(result);
          collection->changed();
          emptier->wake();
        });
    if (!opened) return tl::unexpected(std::move(opened.error()));
    caches = std::move(*opened);
    return {};
  }

  tl::expected<ToolchainWant, WantError> want(const VolumeSpec& spec) {
    EnvironmentRecord any;
    WantFacts facts{spec, nullptr, true, {}, platform};
    if (!cluster) {
      if (spec.toolchain) any.versions.push_back(*spec.toolchain);
      facts.environment = &any;
      return decide_want(facts);
    }
    const auto found = cluster->environments.get({spec.pod.ns, spec.environment});
    facts.environment = found.get();
    facts.synced = cluster->environments.has_synced();
    if (found && !found->pinned.empty()) {
      facts.namespace_uid = cluster->namespace_uid(spec.pod.ns);
    }
    return decide_want(facts);
  }

  std::vector<std::string> newer(const VolumeSpec& spec, const ToolchainWant& declared) {
    if (!cluster) return {};
    const auto found = cluster->environments.get({spec.pod.ns, spec.environment});
    if (!found || !found->allow_newer) return {};
    return newer_goroots(declared, edges.toolchains.stored());
  }

  /// On the publisher's thread, which comes by often until the driver is registered.
  NodeCacheFacts look_around() {
    NodeCacheFacts facts = gather();
    if (facts.registered && options.startup_taint) remove_startup_taint();
    return facts;
  }

  void remove_startup_taint() {
    const auto removed = remove_taint(cluster->client, options.node_name, *options.startup_taint,
                                      edges.clock.now() + kTaintTimeout);
    if (!removed) {
      spdlog::warn("startup taint cannot be taken away, tried again node={} error=\"{}\"",
                   options.node_name, removed.error().message);
      return;
    }
    if (*removed) spdlog::info("startup taint taken away node={}", options.node_name);
    // Once a start: who taints the node later means something else.
    options.startup_taint.reset();
  }

  /// For this node's GoNodeCache.
  NodeCacheFacts gather() {
    NodeCacheSources sources;
    sources.stored = edges.toolchains.stored();
    sources.entries = edges.toolchains.entries();
    sources.volumes = registry->records();
    sources.environments = cluster->environments.list();
    sources.now =
        std::chrono::duration_cast<std::chrono::seconds>(edges.clock.wall_now().time_since_epoch())
            .count();
    sources.collection = collection->latest();
    sources.waiting = prefetcher->waiting();
    sources.high_percent = options.limits.high_percent;
    NodeCacheFacts facts = node_cache_facts(sources);
    facts.agent_version = options.version;
    if (const CsiServer* now = serving) {
      Registration seen = now->registration();
      facts.registered = seen.registered;
      facts.registration_error = std::move(seen.error);
    }
    return facts;
  }

  /// Opened each time: it is asked seldom, and the root may be mounted anew.
  [[nodiscard]] std::optional<collector::Disk> disk() const {
    const auto root = collector::open_trusted_folder(options.root);
    if (!root) return std::nullopt;
    const auto found = collector::disk_of(*root);
    return found ? std::optional(*found) : std::nullopt;
  }

  void open_prefetcher() {
    prefetcher.emplace(
        PrefetchOptions{platform, options.limits, options.prefetch_interval},
        PrefetchEdges{edges.toolchains, edges.clock,
                      [this] { return cluster->environments.has_synced(); },
                      [this] { return cluster->environments.list(); }, [this] { return disk(); },
                      [this] { cluster->publisher.changed(); }});
  }

  tl::expected<void, std::string> start() {
    const std::filesystem::path socket(options.socket);
    const std::string registry_dir = options.kubelet_dir + "/plugins_registry";
    for (const std::string& folder : {socket.parent_path().string(), registry_dir}) {
      if (auto made = make_folder(folder, 0); !made) return made;
    }
    const auto root = collector::open_trusted_folder(options.root);
    if (!root) {
      return tl::unexpected(
          fmt::format("cannot open {}: {}", options.root, root.error().message()));
    }
    started = true;
    emptier.emplace(*root, options.delete_rate, report_emptied);
    if (cluster) {
      cluster->environments.add_handler([this](const auto&) { prefetcher->wake(); });
      cluster->environments.start();
      cluster->pods.start();
      prefetcher->start();
      if (edges.fetches != nullptr) {
        edges.fetches->on_change([this] {
          prefetcher->wake();
          cluster->publisher.changed();
        });
      }
      collection->on_change([this] { cluster->publisher.changed(); });
    }
    collection->start();
    if (caches) caches->start();
    CsiServerOptions server_options;
    server_options.driver_name = std::string(goenv::kCsiDriver);
    server_options.driver_version = options.version;
    server_options.node_name = options.node_name;
    server_options.socket = options.socket;
    server_options.registry_dir = registry_dir;
    server_options.observed = [this](const char* method, const char* code, double seconds) {
      reporter->call(method, code, seconds);
    };
    auto opened = CsiServer::start(std::move(server_options), *volumes, edges.clock);
    if (!opened) return tl::unexpected(std::move(opened.error()));
    server = std::move(*opened);
    serving = server.get();
    if (cluster) cluster->publisher.start();
    return {};
  }

  void stop(std::chrono::milliseconds grace) {
    if (!std::exchange(started, false)) return;
    if (server) server->stop(grace);
    if (caches) caches->stop();
    collection->stop();
    if (prefetcher) prefetcher->stop();
    if (cluster) {
      if (edges.fetches != nullptr) edges.fetches->on_change({});
      cluster->publisher.stop();
      cluster->environments.request_stop();
      cluster->pods.request_stop();
      cluster->environments.join();
      cluster->pods.join();
      cluster->events.stop();
    }
    emptier.reset();
  }

  NodeAgentOptions options;
  NodeAgentEdges edges;
  const NodePlatform platform;
  const std::string boot_id = collector::read_clocks().boot_id;
  std::optional<PrivateParts> files;
  std::unique_ptr<VolumeRegistry> registry;
  std::unique_ptr<Mounter> mounter;
  collector::Leases leases;
  std::optional<ClusterSide> cluster;
  std::unique_ptr<Collection> collection;
  PromotionReporter promotions{edges.metrics};
  std::unique_ptr<NodeCaches> caches;
  std::optional<VolumeReporter> reporter;
  std::optional<VolumeService> volumes;
  std::optional<collector::TrashEmptier> emptier;
  std::unique_ptr<CsiServer> server;
  std::atomic<CsiServer*> serving{nullptr};  ///< for probes, which ask from their own thread
  bool started = false;
  std::optional<Prefetcher> prefetcher;
};

NodeAgent::NodeAgent(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NodeAgent::~NodeAgent() { stop(std::chrono::milliseconds(0)); }

tl::expected<std::unique_ptr<NodeAgent>, std::string> NodeAgent::open(NodeAgentOptions options,
                                                                      NodeAgentEdges edges) {
  auto impl = std::make_unique<Impl>(std::move(options), std::move(edges));
  if (auto opened = impl->open(); !opened) return tl::unexpected(std::move(opened.error()));
  return std::unique_ptr<NodeAgent>(new NodeAgent(std::move(impl)));
}

tl::expected<void, std::string> NodeAgent::start() { return impl_->start(); }

void NodeAgent::stop(std::chrono::milliseconds grace) { impl_->stop(grace); }

void NodeAgent::add_checks(kube::HealthChecks& ready) {
  ready.add("csi", [this]() -> std::optional<std::string> {
    const CsiServer* server = impl_->serving;
    if (server == nullptr) return "the CSI service has not started";
    const Registration seen = server->registration();
    if (seen.registered) return std::nullopt;
    if (!seen.error.empty()) return "the kubelet refused the driver: " + seen.error;
    return "the kubelet has not registered the driver yet";
  });
  if (!impl_->cluster) return;
  ready.add("environments", [this]() -> std::optional<std::string> {
    if (impl_->cluster->environments.has_synced()) return std::nullopt;
    return "GoBuildEnvs have not been listed yet";
  });
}

}  // namespace gobuildenv::agent
