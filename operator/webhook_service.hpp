#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "kube/metrics.hpp"
#include "webhooks/environments.hpp"
#include "webhooks/server/server.hpp"

namespace gobuildenv::cli {

/// The webhook server with its routes and metrics. It starts to listen with the first certificate.
class WebhookService {
 public:
  struct Options {
    webhooks::server::Options server;
    /// Never touched by the pod webhook: kube-system and the operator's own.
    std::vector<std::string> excluded_namespaces;
  };
  /// `lookup` and `metrics` outlive the service.
  WebhookService(Options options, const webhooks::EnvironmentLookup& lookup,
                 kube::Metrics& metrics);
  ~WebhookService();
  WebhookService(const WebhookService&) = delete;
  WebhookService& operator=(const WebhookService&) = delete;

  /// Serves `pair` from now on. Thread-safe. Error: a sentence; what was served stays.
  tl::expected<void, std::string> use(const webhooks::certificates::KeyPair& pair);
  [[nodiscard]] bool serving() const;
  void begin_drain();
  void stop(std::chrono::milliseconds grace);

 private:
  class Observer;

  std::unique_ptr<Observer> observer_;
  webhooks::server::Server server_;
  mutable std::mutex mutex_;
  bool serving_ = false;
  bool stopped_ = false;
};

}  // namespace gobuildenv::cli
