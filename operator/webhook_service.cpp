#include "operator/webhook_service.hpp"

#include <spdlog/spdlog.h>

#include <map>
#include <utility>

#include "webhooks/handlers.hpp"

namespace gobuildenv::cli {

namespace {

using webhooks::kMutatePodsPath;
using webhooks::kValidateGoBuildEnvsPath;

/// gobuildenv_admissions_total{result}: what became of each pod review. Results are few and known
/// to the decision alone, so their counters are made when first met.
class Decisions {
 public:
  explicit Decisions(kube::Metrics& metrics) : metrics_(metrics) {}

  void count(const webhooks::AdmissionResponse& response) {
    for (const auto& [key, value] : response.audit_annotations) {
      if (key != "result") continue;
      counter(value).add();
      return;
    }
  }

 private:
  kube::Counter counter(const std::string& result) {
    const std::scoped_lock lock(mutex_);
    const auto found = counters_.find(result);
    if (found != counters_.end()) return found->second;
    return counters_
        .emplace(result,
                 metrics_.counter("gobuildenv_admissions_total",
                                  "Pod reviews by what became of them.", {{"result", result}}))
        .first->second;
  }

  kube::Metrics& metrics_;
  std::mutex mutex_;
  std::map<std::string, kube::Counter> counters_;
};

webhooks::server::Routes routes(const webhooks::EnvironmentLookup& lookup,
                                std::vector<std::string> excluded, kube::Metrics& metrics) {
  webhooks::PodWebhookOptions options;
  options.excluded_namespaces = std::move(excluded);
  auto decisions = std::make_shared<Decisions>(metrics);
  webhooks::server::Routes out;
  out.emplace(kMutatePodsPath,
              webhooks::make_pod_handler(lookup, std::move(options),
                                         [decisions](const webhooks::Review&,
                                                     const webhooks::AdmissionResponse& response) {
                                           decisions->count(response);
                                         }));
  out.emplace(kValidateGoBuildEnvsPath, webhooks::make_gobuildenv_handler({}));
  return out;
}

}  // namespace

class WebhookService::Observer final : public webhooks::server::Observer {
 public:
  explicit Observer(kube::Metrics& metrics)
      : metrics_(metrics),
        mutate_(metrics.webhook(std::string(kMutatePodsPath))),
        validate_(metrics.webhook(std::string(kValidateGoBuildEnvsPath))),
        failures_(metrics.counter("gobuildenv_webhook_connection_errors_total",
                                  "Connections that ended otherwise than by being closed.")) {}

  void started(std::string_view path) noexcept override {
    if (const auto* one = of(path)) one->in_flight.add(1);
  }
  void finished(std::string_view path, int status,
                std::chrono::nanoseconds latency) noexcept override {
    if (const auto* one = of(path)) {
      one->in_flight.add(-1);
      one->latency_seconds.observe(std::chrono::duration<double>(latency).count());
      if (status == 200) {
        (path == kMutatePodsPath ? mutate_ok_ : validate_ok_).add();
        return;
      }
    }
    metrics_.webhook_requests(std::string(path), status).add();
  }
  void failed(std::string_view stage, std::string_view error) noexcept override {
    failures_.add();
    spdlog::debug("a webhook connection failed stage={} error=\"{}\"", stage, error);
  }

 private:
  const kube::WebhookMetrics* of(std::string_view path) const {
    if (path == kMutatePodsPath) return &mutate_;
    return path == kValidateGoBuildEnvsPath ? &validate_ : nullptr;
  }

  kube::Metrics& metrics_;
  const kube::WebhookMetrics mutate_;
  const kube::WebhookMetrics validate_;
  const kube::Counter failures_;
  // The common answer is counted without building a label set.
  const kube::Counter mutate_ok_ = metrics_.webhook_requests(std::string(kMutatePodsPath), 200);
  const kube::Counter validate_ok_ =
      metrics_.webhook_requests(std::string(kValidateGoBuildEnvsPath), 200);
};

WebhookService::WebhookService(Options options, const webhooks::EnvironmentLookup& lookup,
                               kube::Metrics& metrics)
    : observer_(std::make_unique<Observer>(metrics)),
      server_(std::move(options.server),
              routes(lookup, std::move(options.excluded_namespaces), metrics), observer_.get()) {}

WebhookService::~WebhookService() = default;

tl::expected<void, std::string> WebhookService::use(const webhooks::certificates::KeyPair& pair) {
  const std::scoped_lock lock(mutex_);
  if (stopped_) return {};
  if (serving_) return server_.set_certificate(pair);
  if (auto started = server_.start(pair); !started) return started;
  serving_ = true;
  spdlog::info("webhook is serving port={}", server_.port());
  return {};
}

bool WebhookService::serving() const {
  const std::scoped_lock lock(mutex_);
  return serving_ && !stopped_;
}

void WebhookService::begin_drain() {
  const std::scoped_lock lock(mutex_);
  if (serving_) server_.begin_drain();
}

void WebhookService::stop(std::chrono::milliseconds grace) {
  {
    const std::scoped_lock lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
    if (!serving_) return;
  }
  server_.stop(grace);
}

}  // namespace gobuildenv::cli
