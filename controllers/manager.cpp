#include "controllers/manager.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "controllers/certificates/controller.hpp"
#include "controllers/events.hpp"
#include "controllers/gobuildenv/caches.hpp"
#include "controllers/gobuildenv/reconciler.hpp"
#include "controllers/missed/reporter.hpp"
#include "controllers/operator_metrics.hpp"
#include "controllers/serving/lookup.hpp"
#include "crds/digest.hpp"
#include "goenv/names.hpp"
#include "kube/events.hpp"
#include "kube/informer.hpp"
#include "kube/leader_election.hpp"

namespace gobuildenv::controllers {
namespace {

using kube::Change;
using kube::Origin;

/// Pods come and go in crowds; their environment's counts are looked at once for all of them.
constexpr std::chrono::seconds kPodsSettle{1};
/// Key in the queue of missed pods: look for those whose environment is gone. No pod has it.
const kube::ObjectKey kStranded{};

kube::InformerOptions watch(const kube::ResourceType& type, std::string ns = {}) {
  kube::InformerOptions options;
  options.type = type;
  options.ns = std::move(ns);
  return options;
}

kube::InformerOptions watch_one(const kube::ResourceType& type, const std::string& ns,
                                const std::string& name) {
  kube::InformerOptions options = watch(type, ns);
  options.field_selector = "metadata.name=" + name;
  return options;
}

kube::InformerOptions watch_labelled(const kube::ResourceType& type, std::string ns,
                                     std::string selector) {
  kube::InformerOptions options = watch(type, std::move(ns));
  options.label_selector = std::move(selector);
  return options;
}

kube::InformerOptions named(kube::InformerOptions options, std::string name) {
  options.name = std::move(name);
  return options;
}

kube::InformerOptions metadata_of(kube::InformerOptions options) {
  options.metadata_only = true;
  return options;
}

/// Informers and controllers for the certificate, where the manager has to do with it.
struct Certificates {
  Certificates(const ManagerOptions& options, const kube::InformerRuntime& runtime)
      : key{options.own_namespace, options.secret_name},
        secret(runtime, watch_one(kSecretType, key.ns, key.name), decode_secret),
        mutating(runtime, watch_one(kMutatingWebhookType, {}, options.mutating_configuration),
                 decode_webhook_configuration),
        validating(runtime, watch_one(kValidatingWebhookType, {}, options.validating_configuration),
                   decode_webhook_configuration) {}

  kube::ObjectKey key;
  kube::Informer<CertificateSecret> secret;
  kube::Informer<WebhookConfiguration> mutating;
  kube::Informer<WebhookConfiguration> validating;
};

}  // namespace

struct Manager::Impl {
  Impl(ManagerOptions given, ManagerEdges given_edges)
      : options(std::move(given)),
        edges(std::move(given_edges)),
        open_client(edges.make_client({})),
        elector(*open_client, edges.clock, edges.random, election_options(), callbacks(),
                &edges.metrics),
        client(edges.make_client([this] { return leads(); })),
        runtime{*open_client, edges.clock, edges.random, &edges.metrics},
        environments(runtime, watch(kGoBuildEnvType, options.watch_namespace), decode_environment,
                     {selecting_index()}),
        config_maps(runtime,
                    watch_labelled(kConfigMapType, options.watch_namespace,
                                   std::string(kManagedByLabel) + "=" + std::string(kManagedBy)),
                    decode_config_map, {config_map_index()}),
        pods(runtime,
             watch_labelled(kPodType, options.watch_namespace, std::string(goenv::kEnvLabel)),
             decode_pod, {pod_index()}),
        chosen_pods(runtime,
                    named(watch_labelled(kPodType, options.watch_namespace,
                                         std::string(goenv::kRevisionLabel) + ",!" +
                                             std::string(goenv::kEnvLabel)),
                          "pods-chosen"),
                    decode_pod, {pod_index()}),
        namespaces(
            runtime,
            metadata_of(watch_labelled(kNamespaceType, {}, std::string(goenv::kInjectionLabel))),
            decode_namespace),
        csi_drivers(runtime,
                    metadata_of(watch_one(kCsiDriverType, {}, std::string(goenv::kCsiDriver))),
                    decode_csi_driver),
        lookup({*open_client, environments, config_maps, namespaces, csi_drivers}),
        events(*client, event_options(), edges.clock, edges.random),
        operator_metrics(edges.metrics),
        resolver(resolver_options(), options.web_transport, edges.clock,
                 [this](const kube::ObjectKey& key) { environment_controller.queue().add(key); }),
        reconciler(*client, caches(), resolver, events, edges.clock, reconciler_options()),
        environment_controller(controller_options("gobuildenv", options.workers), edges.clock,
                               &edges.metrics,
                               [this](const auto& key) { return reconciler.reconcile(key); }),
        missed(caches(), events, edges.clock, &edges.metrics, {disabled(), 5, 50}),
        missed_controller(controller_options("missed-pods", 1), edges.clock, &edges.metrics,
                          [this](const auto& key) { return reconcile_missed(key); }) {
    if (options.certificates != CertificateMode::Files) {
      certificates.emplace(options, runtime);
      certificates->secret.add_handler([this](const auto& change) { on_secret(change); });
    }
    if (options.certificates == CertificateMode::SelfManaged) {
      rotation.emplace(
          CertificateController::Sources{*client, certificates->secret, certificates->mutating,
                                         certificates->validating},
          edges.clock, certificate_options());
      certificate_controller.emplace(controller_options("certificates", 1), edges.clock,
                                     &edges.metrics,
                                     [this](const auto& key) { return rotation->reconcile(key); });
      const auto look = [this](const auto& change) {
        if (change.origin != Origin::OwnWrite) enqueue_certificates();
      };
      certificates->secret.add_handler(look);
      certificates->mutating.add_handler(look);
      certificates->validating.add_handler(look);
    }
    environments.add_handler([this](const auto& change) {
      operator_metrics.observe(change);
      on_environment(change);
    });
    config_maps.add_handler([this](const auto& change) { on_config_map(change); });
    pods.add_handler([this](const auto& change) { on_pod(change); });
    chosen_pods.add_handler([this](const auto& change) { on_pod(change); });
  }

  // --- options of the parts ---

  [[nodiscard]] kube::LeaderElectionOptions election_options() const {
    kube::LeaderElectionOptions out;
    out.lease = {options.own_namespace, options.lease_name};
    out.identity = options.identity;
    return out;
  }

  kube::LeaderCallbacks callbacks() {
    kube::LeaderCallbacks out;
    out.on_started = [this] { start_workers(); };
    out.on_lost = [this] {
      spdlog::error("the lease is lost lease={}/{}", options.own_namespace, options.lease_name);
      finish(End::LostLease);
    };
    out.on_new_leader = [this](const std::string& identity) {
      spdlog::info("leader identity={} self={}", identity, identity == options.identity);
    };
    return out;
  }

  [[nodiscard]] kube::EventRecorderOptions event_options() const {
    kube::EventRecorderOptions out;
    out.series.instance = options.identity;
    const kube::Counter dropped = edges.metrics.counter(
        "gobuildenv_events_dropped_total", "Events that were not written: too many, or refused.");
    out.dropped = [dropped] { dropped.add(); };
    return out;
  }

  [[nodiscard]] std::function<bool(const std::string&)> disabled() {
    return [this](const std::string& ns) {
      const auto& excluded = options.excluded_namespaces;
      if (std::find(excluded.begin(), excluded.end(), ns) != excluded.end()) return true;
      const auto found = namespaces.get({{}, ns});
      return found && found->injection == webhooks::NamespaceInjection::Disabled;
    };
  }

  ReconcilerOptions reconciler_options() {
    ReconcilerOptions out;
    out.decide.defaults = options.defaults;
    out.decide.sha256 = crds::sha256_hex;
    out.injection_disabled = disabled();
    return out;
  }

  [[nodiscard]] ResolverOptions resolver_options() const {
    ResolverOptions out = options.resolver;
    out.answered = [this, then = options.resolver.answered](const ToolchainAnswer& answer) {
      operator_metrics.answered(answer);
      if (then) then(answer);
    };
    return out;
  }

  [[nodiscard]] CertificateOptions certificate_options() const {
    CertificateOptions out;
    out.secret = {options.own_namespace, options.secret_name};
    out.rotation.dns_names =
        webhooks::certificates::service_names(options.service_name, options.own_namespace);
    out.rotation.dns_names.insert(out.rotation.dns_names.end(), options.extra_dns_names.begin(),
                                  options.extra_dns_names.end());
    out.rotation.ip_addresses = options.extra_ip_addresses;
    out.rotation.settle = options.certificate_settle;
    return out;
  }

  static kube::ControllerOptions controller_options(std::string name, int workers) {
    kube::ControllerOptions out;
    out.name = std::move(name);
    out.workers = workers;
    return out;
  }

  Caches caches() { return {environments, config_maps, pods, chosen_pods}; }

  // --- changes ---

  void on_environment(const Change<EnvironmentRecord>& change) {
    if (change.origin == Origin::OwnWrite || !working.load(std::memory_order_acquire)) return;
    environment_controller.queue().add(change.key, change.priority());
    const bool going = !change.new_value || change.new_value->deleting;
    const bool was_going = !change.old_value || change.old_value->deleting;
    if (going && (!was_going || !change.new_value)) on_deletion(change, !was_going);
  }

  /// Pods that still use a deleted environment are told of, on it and, where they wait for what
  /// will not come, on them.
  void on_deletion(const Change<EnvironmentRecord>& change, bool news) {
    const auto users = pods_of(caches(), change.key);
    const auto count = std::count_if(users.begin(), users.end(),
                                     [](const auto& pod) { return pod->revision != nullptr; });
    if (count == 0) return;
    if (news) {
      record(events, kGoBuildEnvType, change.key, std::string(change.uid),
             {true, "DeletedWhileInUse",
              std::to_string(count) +
                  " unfinished pods use this environment; those that have not started will wait "
                  "for its files in vain"});
    }
    if (change.new_value) return;
    missed.environment_gone(change.key);
    missed_controller.queue().add(kStranded);
  }

  /// The pod has not started, and the environment whose files it mounts is gone.
  [[nodiscard]] bool in_vain_for(const kube::ObjectKey& key, const PodRecord& pod) const {
    return pod.pending && pod.revision && !pod.environment->empty() &&
           !environments.get({key.ns, *pod.environment});
  }

  kube::ReconcileResult reconcile_missed(const kube::ObjectKey& key) {
    if (key != kStranded) return missed.reconcile(key);
    for (const kube::ObjectKey& pod : missed.stranded()) missed_controller.queue().add(pod);
    return kube::ReconcileResult::done();
  }

  void on_config_map(const Change<ConfigMapRecord>& change) {
    // Of what was there at the start the environments are looked at anyway.
    if (change.origin == Origin::OwnWrite || change.origin == Origin::InitialList ||
        change.origin == Origin::Resync || !working.load(std::memory_order_acquire)) {
      return;
    }
    for (const auto& record : {change.old_value, change.new_value}) {
      if (!record) continue;
      for (std::string& name : environments_of(change.key, *record)) {
        environment_controller.queue().add({change.key.ns, std::move(name)});
      }
    }
  }

  void on_pod(const Change<PodRecord>& change) {
    const bool newly_missed = missed.observe(change);
    if (!working.load(std::memory_order_acquire)) return;
    // Admitted just before its environment was deleted.
    const bool in_vain = !change.old_value && in_vain_for(change.key, *change.new_value);
    if (newly_missed || in_vain) missed_controller.queue().add(change.key, change.priority());
    if (change.origin == Origin::Resync) return;
    const PodRecord* before = change.old_value.get();
    const PodRecord* after = change.new_value.get();
    if (before != nullptr && after != nullptr && before->finished == after->finished &&
        before->revision == after->revision && before->environment == after->environment &&
        before->answered == after->answered) {
      return;
    }
    for (const PodRecord* pod : {before, after}) {
      if (pod == nullptr || pod->environment->empty()) continue;
      environment_controller.queue().add_after({change.key.ns, *pod->environment}, kPodsSettle,
                                               kube::Priority::Low);
    }
  }

  void on_secret(const Change<CertificateSecret>& change) {
    if (!change.new_value) return;  // what is served goes on being served
    operator_metrics.certificates(change.new_value->stored);
    const webhooks::certificates::KeyPair& leaf = change.new_value->stored.leaf;
    if (change.old_value && change.old_value->stored.leaf == leaf && has_certificate) return;
    const auto checked = webhooks::certificates::check_pair(leaf);
    if (!checked) {
      spdlog::warn("the Secret has no certificate to serve namespace={} name={} error=\"{}\"",
                   change.key.ns, change.key.name, checked.error());
      return;
    }
    if (options.on_certificate) options.on_certificate(leaf);
    has_certificate = true;
  }

  void enqueue_certificates() {
    if (working.load(std::memory_order_acquire) && certificate_controller) {
      certificate_controller->queue().add(certificates->key);
    }
  }

  // --- life ---

  [[nodiscard]] bool leads() const {
    return options.leader_election ? elector.is_leader() : working.load(std::memory_order_acquire);
  }

  template <class F>
  void each_informer(F&& f) {
    f(environments);
    f(config_maps);
    f(pods);
    f(chosen_pods);
    f(namespaces);
    f(csi_drivers);
    if (!certificates) return;
    f(certificates->secret);
    if (options.certificates != CertificateMode::SelfManaged) return;
    f(certificates->mutating);
    f(certificates->validating);
  }

  [[nodiscard]] bool synced() {
    bool complete = true;
    each_informer([&](auto& informer) { complete = complete && informer.has_synced(); });
    return complete;
  }

  /// On a thread of its own: nobody can say when the API server is there.
  void follow_up() {
    bool complete = true;
    each_informer([&](auto& informer) {
      complete = complete && informer.wait_for_sync(kube::Clock::TimePoint::max());
    });
    if (!complete) return;
    spdlog::info("caches have synced environments={} configmaps={} pods={}", environments.size(),
                 config_maps.size(), pods.size() + chosen_pods.size());
    kube::trim_after_sync();
    const std::scoped_lock lock(mutex);
    if (stopping) return;
    if (options.leader_election) {
      elector.start();
      elector_started = true;
    } else {
      start_workers_locked();
    }
  }

  void start_workers() {
    const std::scoped_lock lock(mutex);
    if (!stopping) start_workers_locked();
  }

  void start_workers_locked() {
    // From here on changes enqueue; what was there before is enqueued now.
    working.store(true, std::memory_order_release);
    for (const auto& item : environments.items()) {
      environment_controller.queue().add(item.meta.key, kube::Priority::Low);
    }
    for (const auto* informer : {&pods, &chosen_pods}) {
      for (const auto& item : informer->items()) {
        const bool missing = !item.value->finished && !item.value->revision;
        if (missing || in_vain_for(item.meta.key, *item.value)) {
          missed_controller.queue().add(item.meta.key, kube::Priority::Low);
        }
      }
    }
    environment_controller.start();
    missed_controller.start();
    if (certificate_controller) {
      enqueue_certificates();
      certificate_controller->start();
    }
    kube::trim_after_sync();
  }

  void finish(End end) {
    {
      const std::scoped_lock lock(end_mutex);
      if (!ended) ended = end;
    }
    end_wake.notify_all();
  }

  void stop_controllers() {
    {
      const std::scoped_lock lock(mutex);
      if (stopped) return;
      stopping = true;
      stopped = true;
    }
    environment_controller.request_stop();
    missed_controller.request_stop();
    if (certificate_controller) certificate_controller->request_stop();
    resolver.stop();
    environment_controller.join();
    missed_controller.join();
    if (certificate_controller) certificate_controller->join();
    events.stop();
    each_informer([](auto& informer) { informer.request_stop(); });
    each_informer([](auto& informer) { informer.join(); });
    if (starter.joinable()) starter.join();
  }

  void release_lease() {
    stop_controllers();
    if (elector_started) elector.stop(kube::LeaderElector::Release::Yes);
    elector_started = false;
  }

  const ManagerOptions options;
  const ManagerEdges edges;
  std::unique_ptr<kube::Client> open_client;  ///< for reads and the Lease
  kube::LeaderElector elector;
  std::unique_ptr<kube::Client> client;  ///< for all other writes: asks the elector
  kube::InformerRuntime runtime;
  kube::Informer<EnvironmentRecord> environments;
  kube::Informer<ConfigMapRecord> config_maps;
  kube::Informer<PodRecord> pods;         ///< that asked
  kube::Informer<PodRecord> chosen_pods;  ///< that were chosen by podSelector
  kube::Informer<NamespaceRecord> namespaces;
  kube::Informer<CsiDriverRecord> csi_drivers;
  ServingLookup lookup;
  kube::EventWriter events;
  OperatorMetrics operator_metrics;
  ToolchainResolver resolver;
  EnvironmentReconciler reconciler;
  kube::Controller environment_controller;
  MissedPods missed;
  kube::Controller missed_controller;
  std::optional<Certificates> certificates;
  std::optional<CertificateController> rotation;
  std::optional<kube::Controller> certificate_controller;

  std::atomic<bool> working{false};  ///< changes enqueue keys: we lead
  std::atomic<bool> has_certificate{false};

  std::mutex mutex;  ///< start of election and workers against their stop
  bool stopping = false;
  bool stopped = false;
  bool elector_started = false;
  std::thread starter;

  std::mutex end_mutex;
  std::condition_variable end_wake;
  std::optional<End> ended;
};

Manager::Manager(ManagerOptions options, ManagerEdges edges)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(edges))) {}

Manager::~Manager() { impl_->release_lease(); }

const webhooks::EnvironmentLookup& Manager::lookup() const { return impl_->lookup; }

void Manager::add_checks(kube::HealthChecks& live, kube::HealthChecks& ready) {
  Impl* impl = impl_.get();
  live.add("workers", [impl]() -> std::optional<std::string> {
    const bool hung = impl->environment_controller.hung() || impl->missed_controller.hung() ||
                      (impl->certificate_controller && impl->certificate_controller->hung());
    if (hung) return "a worker has held one key for too long";
    return std::nullopt;
  });
  ready.add("caches", [impl]() -> std::optional<std::string> {
    if (impl->synced()) return std::nullopt;
    return "the caches have not synced";
  });
  if (!impl->certificates) return;
  ready.add("certificate", [impl]() -> std::optional<std::string> {
    if (impl->has_certificate) return std::nullopt;
    return "no certificate is loaded from Secret " + impl->options.secret_name;
  });
  if (!impl->rotation) return;
  ready.add("ca-bundle", [impl]() -> std::optional<std::string> {
    if (impl->rotation->published()) return std::nullopt;
    return "the webhook configurations do not trust the CA yet";
  });
}

void Manager::start() {
  impl_->each_informer([](auto& informer) { informer.start(); });
  impl_->starter = std::thread([impl = impl_.get()] { impl->follow_up(); });
}

Manager::End Manager::wait() {
  std::unique_lock lock(impl_->end_mutex);
  impl_->end_wake.wait(lock, [this] { return impl_->ended.has_value(); });
  return *impl_->ended;
}

void Manager::request_stop() { impl_->finish(End::Stopped); }
void Manager::stop_controllers() { impl_->stop_controllers(); }
void Manager::release_lease() { impl_->release_lease(); }
bool Manager::leads() const { return impl_->leads(); }
bool Manager::synced() const { return impl_->synced(); }

}  // namespace gobuildenv::controllers
