#include "kube/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace gobuildenv::kube {
namespace {

prometheus::Labels to_labels(const MetricLabels& labels) { return {labels.begin(), labels.end()}; }

/// Of controller-runtime: reconcile_time_seconds.
const std::vector<double>& reconcile_buckets() {
  static const std::vector<double> buckets = {
      0.005, 0.01, 0.025, 0.05, 0.1,  0.15, 0.2,  0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6,
      0.7,   0.8,  0.9,   1.0,  1.25, 1.5,  1.75, 2.0,  2.5, 3.0,  3.5, 4.0,  4.5, 5,
      6,     7,    8,     9,    10,   15,   20,   25,   30,  40,   50,  60};
  return buckets;
}

/// Of controller-runtime: 10 ns to 1000 s by tens.
const std::vector<double>& queue_buckets() {
  static const std::vector<double> buckets = {1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3,
                                              1e-2, 1e-1, 1,    10,   100,  1000};
  return buckets;
}

/// An admission takes some tens of microseconds; the usual first bucket of 5 ms would say nothing.
const std::vector<double>& webhook_buckets() {
  static const std::vector<double> buckets = {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025,
                                              0.005,   0.01,   0.025,   0.05,   0.1,   0.25,
                                              0.5,     1,      2.5,     5,      10};
  return buckets;
}

}  // namespace

void Counter::add(double by) const {
  if (metric_ != nullptr) metric_->Increment(by);
}

void Gauge::set(double value) const {
  if (metric_ != nullptr) metric_->Set(value);
}

void Gauge::add(double by) const {
  if (metric_ != nullptr) metric_->Increment(by);
}

void Histogram::observe(double value) const {
  if (metric_ != nullptr) metric_->Observe(value);
}

struct Metrics::Impl {
  prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
  std::mutex mutex;  ///< of the collectors; held while they run, so that removal waits for them
  std::list<std::function<void()>> collectors;
  /// Finding a series in the registry costs more than counting: once a request.
  std::mutex requests_mutex;
  std::unordered_map<std::string, Counter> requests;
};

Metrics::Metrics() : impl_(std::make_shared<Impl>()) {}
Metrics::~Metrics() = default;

Counter Metrics::counter(const std::string& name, const std::string& help,
                         const MetricLabels& labels) {
  return Counter(prometheus::BuildCounter()
                     .Name(name)
                     .Help(help)
                     .Register(impl_->registry)
                     .Add(to_labels(labels)));
}

Gauge Metrics::gauge(const std::string& name, const std::string& help, const MetricLabels& labels) {
  return Gauge(prometheus::BuildGauge()
                   .Name(name)
                   .Help(help)
                   .Register(impl_->registry)
                   .Add(to_labels(labels)));
}

Histogram Metrics::histogram(const std::string& name, const std::string& help,
                             const std::vector<double>& buckets, const MetricLabels& labels) {
  return Histogram(prometheus::BuildHistogram()
                       .Name(name)
                       .Help(help)
                       .Register(impl_->registry)
                       .Add(to_labels(labels), buckets));
}

ReconcileMetrics Metrics::reconcile(const std::string& controller) {
  const MetricLabels labels = {{"controller", controller}};
  const auto total = [&](const char* result) {
    return counter("controller_runtime_reconcile_total",
                   "Total number of reconciliations per controller",
                   {{"controller", controller}, {"result", result}});
  };
  ReconcileMetrics metrics;
  metrics.success = total("success");
  metrics.requeue_after = total("requeue_after");
  metrics.error = total("error");
  metrics.errors = counter("controller_runtime_reconcile_errors_total",
                           "Total number of reconciliation errors per controller", labels);
  metrics.final_errors =
      counter("controller_runtime_terminal_reconcile_errors_total",
              "Total number of reconciliation errors that are not retried, per controller", labels);
  metrics.panics =
      counter("controller_runtime_reconcile_panics_total",
              "Total number of exceptions out of a reconciliation per controller", labels);
  metrics.seconds =
      histogram("controller_runtime_reconcile_time_seconds",
                "Length of time per reconciliation per controller", reconcile_buckets(), labels);
  metrics.active_workers = gauge("controller_runtime_active_workers",
                                 "Number of currently used workers per controller", labels);
  metrics.max_concurrent = gauge("controller_runtime_max_concurrent_reconciles",
                                 "Maximum number of concurrent reconciles per controller", labels);
  return metrics;
}

WorkQueueMetrics Metrics::work_queue(const std::string& name) {
  const MetricLabels labels = {{"name", name}, {"controller", name}};
  WorkQueueMetrics metrics;
  metrics.depth = gauge("workqueue_depth", "Current depth of the work queue", labels);
  metrics.adds =
      counter("workqueue_adds_total", "Total number of adds handled by the work queue", labels);
  metrics.queue_seconds =
      histogram("workqueue_queue_duration_seconds",
                "How long in seconds an item stays in the work queue before it is taken",
                queue_buckets(), labels);
  metrics.work_seconds = histogram("workqueue_work_duration_seconds",
                                   "How long in seconds processing an item of the work queue takes",
                                   queue_buckets(), labels);
  metrics.unfinished_seconds =
      gauge("workqueue_unfinished_work_seconds",
            "Seconds of work in progress that work_duration has not observed yet", labels);
  metrics.longest_running_seconds = gauge(
      "workqueue_longest_running_processor_seconds",
      "How many seconds the longest-running processor of the work queue has been running", labels);
  metrics.retries = counter("workqueue_retries_total",
                            "Total number of retries handled by the work queue", labels);
  return metrics;
}

WebhookMetrics Metrics::webhook(const std::string& path) {
  const MetricLabels labels = {{"webhook", path}};
  return {histogram("controller_runtime_webhook_latency_seconds",
                    "Latency of processing admission requests", webhook_buckets(), labels),
          gauge("controller_runtime_webhook_requests_in_flight",
                "Current number of admission requests being served", labels)};
}

InformerMetrics Metrics::informer(const std::string& resource) {
  const MetricLabels labels = {{"resource", resource}};
  InformerMetrics metrics;
  metrics.events = counter("gobuildenv_informer_events_total",
                           "Watch events received, bookmarks included", labels);
  metrics.lists = counter("gobuildenv_informer_lists_total",
                          "Complete lists read, streamed ones included", labels);
  metrics.watches = counter("gobuildenv_informer_watches_total", "Watches opened", labels);
  metrics.failures = counter("gobuildenv_informer_failures_total",
                             "Lists and watches that ended with an error", labels);
  metrics.decode_errors = counter("gobuildenv_informer_decode_errors_total",
                                  "Objects that could not be decoded and were skipped", labels);
  metrics.objects = gauge("gobuildenv_informer_objects", "Objects in the cache", labels);
  metrics.last_event_age_seconds =
      gauge("gobuildenv_informer_last_event_age_seconds",
            "Seconds since the last event or bookmark of the watch", labels);
  return metrics;
}

Counter Metrics::webhook_requests(const std::string& path, int code) {
  return counter("controller_runtime_webhook_requests_total",
                 "Total number of admission requests by HTTP status code",
                 {{"webhook", path}, {"code", std::to_string(code)}});
}

void Metrics::count_request(const std::string& code, const std::string& method,
                            const std::string& host) {
  std::string series;
  series.reserve(code.size() + method.size() + host.size() + 2);
  series.append(code).append(" ").append(method).append(" ").append(host);
  const std::lock_guard lock(impl_->requests_mutex);
  auto found = impl_->requests.find(series);
  if (found == impl_->requests.end()) {
    const Counter made =
        counter("rest_client_requests_total",
                "Number of HTTP requests, partitioned by status code, method, and host",
                {{"code", code}, {"method", method}, {"host", host}});
    found = impl_->requests.emplace(std::move(series), made).first;
  }
  found->second.add();
}

Gauge Metrics::leader(const std::string& name) {
  return gauge("leader_election_master_status",
               "Whether this process leads: 0 is standby, 1 is leader", {{"name", name}});
}

Counter Metrics::certificate_reads() {
  return counter("certwatcher_read_certificate_total", "Total number of certificate reads");
}

Counter Metrics::certificate_read_errors() {
  return counter("certwatcher_read_certificate_errors_total",
                 "Total number of certificate read errors");
}

Metrics::Registration Metrics::add_collector(std::function<void()> collect) {
  const std::lock_guard lock(impl_->mutex);
  const auto place = impl_->collectors.insert(impl_->collectors.end(), std::move(collect));
  // The token keeps Impl alive, so that it may outlive Metrics.
  return Registration(std::shared_ptr<void>(nullptr, [impl = impl_, place](void*) {
    const std::lock_guard removal(impl->mutex);
    impl->collectors.erase(place);
  }));
}

std::string Metrics::text() {
  {
    const std::lock_guard lock(impl_->mutex);
    for (const auto& collect : impl_->collectors) collect();
  }
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace gobuildenv::kube
