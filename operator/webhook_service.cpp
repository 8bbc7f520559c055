#include "operator/webhook_service.hpp"

#include <spdlog/spdlog.h>

#include <utility>

#include "webhooks/pod/decide.hpp"
#include "webhooks/review.hpp"
#include "webhooks/validating/gobuildenv.hpp"

namespace gobuildenv::cli {

namespace {

constexpr std::string_view kMutatePods = "/mutate-pods";
constexpr std::string_view kValidate = "/validate-gobuildenvs";

template <class Decide>
webhooks::server::Handler handler(Decide decide) {
  return [decide = std::move(decide)](std::string_view body) -> webhooks::server::Answer {
    const auto review = webhooks::Review::parse(body);
    if (!review) return {review.error().status, review.error().message, "text/plain"};
    return {200, webhooks::encode(decide(*review), review->uid())};
  };
}

webhooks::server::Routes routes(const webhooks::EnvironmentLookup& lookup,
                                std::vector<std::string> excluded) {
  webhooks::PodWebhookOptions options;
  options.excluded_namespaces = std::move(excluded);
  webhooks::server::Routes out;
  out.emplace(kMutatePods, handler([&lookup, options](const webhooks::Review& review) {
                return webhooks::decide(review, lookup, options);
              }));
  out.emplace(kValidate,
              handler([](const webhooks::Review& review) { return webhooks::validate(review); }));
  return out;
}

}  // namespace

class WebhookService::Observer final : public webhooks::server::Observer {
 public:
  explicit Observer(kube::Metrics& metrics)
      : metrics_(metrics),
        mutate_(metrics.webhook(std::string(kMutatePods))),
        validate_(metrics.webhook(std::string(kValidate))),
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
        (path == kMutatePods ? mutate_ok_ : validate_ok_).add();
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
    if (path == kMutatePods) return &mutate_;
    return path == kValidate ? &validate_ : nullptr;
  }

  kube::Metrics& metrics_;
  const kube::WebhookMetrics mutate_;
  const kube::WebhookMetrics validate_;
  const kube::Counter failures_;
  // The common answer is counted without building a label set.
  const kube::Counter mutate_ok_ = metrics_.webhook_requests(std::string(kMutatePods), 200);
  const kube::Counter validate_ok_ = metrics_.webhook_requests(std::string(kValidate), 200);
};

WebhookService::WebhookService(Options options, const webhooks::EnvironmentLookup& lookup,
                               kube::Metrics& metrics)
    : observer_(std::make_unique<Observer>(metrics)),
      server_(std::move(options.server), routes(lookup, std::move(options.excluded_namespaces)),
              observer_.get()) {}

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
