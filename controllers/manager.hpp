#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controllers/toolchain/resolver.hpp"
#include "goenv/revision.hpp"
#include "kube/client.hpp"
#include "kube/clock.hpp"
#include "kube/health.hpp"
#include "kube/metrics.hpp"
#include "kube/request_stop.hpp"
#include "webhooks/certificates/key_pair.hpp"
#include "webhooks/environments.hpp"

/// The manager's informers and controllers as one thing that starts and stops. Its servers (probes,
/// webhook) belong to the caller, who starts them first and stops them last.
namespace gobuildenv::controllers {

/// Where the webhook's certificate comes from.
enum class CertificateMode {
  SelfManaged,  ///< made and rotated by us in a Secret; caBundle injected by us
  Secret,       ///< the Secret is somebody else's (cert-manager); it is only loaded
  Files,        ///< the webhook server reads files; nothing is watched
};

struct ManagerOptions {
  /// Namespace whose GoBuildEnvs, ConfigMaps and pods are looked at; empty: all. Namespaces and the
  /// CSI driver are cluster-scoped and always watched.
  std::string watch_namespace;
  /// Namespaces that admission never touches: pods there do not miss anything.
  std::vector<std::string> excluded_namespaces;
  /// Own namespace: of Lease and Secret.
  std::string own_namespace;
  /// Unique per process: host name (the pod's name) and something random.
  std::string identity;
  /// False: leads at once, for development off-cluster. Two such managers would write against each
  /// other (harmlessly: every write is idempotent or has a precondition, but for nothing).
  bool leader_election = true;
  std::string lease_name = "gobuildenv-manager";
  /// How long a stop lets workers finish what they hold before it cuts their requests off.
  std::chrono::milliseconds stop_grace{10'000};

  /// Workers that reconcile GoBuildEnvs: requests in flight while many are new.
  int workers = 4;
  /// What a spec that names no proxy or checksum database gets.
  goenv::RenderDefaults defaults;
  /// Resolution of version ranges; `resolver.proxies` are the operator's own.
  ResolverOptions resolver;
  WebTransportFactory web_transport;

  CertificateMode certificates = CertificateMode::SelfManaged;
  /// Between the steps of a CA's rotation; see webhooks::certificates::RotationOptions::settle.
  std::chrono::seconds certificate_settle{std::chrono::minutes{2}};
  std::string secret_name = "gobuildenv-webhook-cert";
  /// Service of the webhook in own_namespace, for the certificate's names; more in extra_names.
  std::string service_name = "gobuildenv-webhook";
  std::vector<std::string> extra_dns_names;
  std::vector<std::string> extra_ip_addresses;
  std::string mutating_configuration = "gobuildenv";
  std::string validating_configuration = "gobuildenv";
  /// The leaf to serve from now on; called on any thread, at least once before readiness. Unused
  /// with CertificateMode::Files.
  std::function<void(const webhooks::certificates::KeyPair&)> on_certificate;
};

/// What the manager works with; all of it outlives the manager.
struct ManagerEdges {
  /// Makes a client whose writes ask `fence` first (an empty one always allows), and which `stop`
  /// ends, if it is not null.
  std::function<std::unique_ptr<kube::Client>(kube::WriteFence fence, kube::RequestStop* stop)>
      make_client;
  kube::Clock& clock;
  kube::Metrics& metrics;
  kube::Random random;
};

/// Order of start: (the caller's probes, then webhook), caches, leader election, workers. Of stop:
/// workers, caches, lease, (the caller's webhook, then probes).
class Manager {
 public:
  Manager(ManagerOptions options, ManagerEdges edges);
  /// Does whatever of stopping was not done.
  ~Manager();
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  /// Answers admission from the first moment on, live until the caches have synced.
  [[nodiscard]] const webhooks::EnvironmentLookup& lookup() const;
  /// Adds "caches", "certificate" and "ca-bundle" to readiness, "workers" to liveness.
  void add_checks(kube::HealthChecks& live, kube::HealthChecks& ready);

  /// Starts the caches and returns; election and workers follow by themselves once they have
  /// synced.
  void start();

  enum class End {
    Stopped,    ///< request_stop() was called
    LostLease,  ///< another leads: exit, what is in memory may be old
  };
  /// Blocks until there is a reason to stop, then tells it.
  End wait();
  /// Makes wait() return; callable from any thread (not from a signal handler).
  void request_stop();

  /// Workers finish what they hold, within stop_grace, then the caches stop; they can still be
  /// read. Afterwards nothing but the Lease and admission's own reads asks the API server for
  /// anything.
  void stop_controllers();
  /// Gives the lease back. Call it last. At most the elector's renew deadline and retry period:
  /// 12 s.
  void release_lease();

  /// Whether this process leads at this moment.
  [[nodiscard]] bool leads() const;
  /// Caches have synced.
  [[nodiscard]] bool synced() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gobuildenv::controllers
