#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace gobuildenv::kube {

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

/// Handles are values; the metric itself lives as long as the registry. A default-made handle
/// counts into nothing. Thread-safe.
class Counter {
 public:
  Counter() = default;
  explicit Counter(prometheus::Counter& metric) : metric_(&metric) {}
  void add(double by = 1) const;

 private:
  prometheus::Counter* metric_ = nullptr;
};

class Gauge {
 public:
  Gauge() = default;
  explicit Gauge(prometheus::Gauge& metric) : metric_(&metric) {}
  void set(double value) const;
  void add(double by) const;

 private:
  prometheus::Gauge* metric_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  explicit Histogram(prometheus::Histogram& metric) : metric_(&metric) {}
  void observe(double value) const;

 private:
  prometheus::Histogram* metric_ = nullptr;
};

/// controller_runtime_reconcile_…, for one controller.
struct ReconcileMetrics {
  Counter success;        ///< …_total{result="success"}
  Counter requeue_after;  ///< …_total{result="requeue_after"}
  Counter error;          ///< …_total{result="error"}
  Counter errors;         ///< controller_runtime_reconcile_errors_total
  Counter final_errors;   ///< controller_runtime_terminal_reconcile_errors_total
  Counter panics;         ///< controller_runtime_reconcile_panics_total: exceptions caught
  Histogram seconds;
  Gauge active_workers;
  Gauge max_concurrent;
};

/// workqueue_…, for one queue.
struct WorkQueueMetrics {
  Gauge depth;
  Counter adds;
  Histogram queue_seconds;
  Histogram work_seconds;
  Gauge unfinished_seconds;
  Gauge longest_running_seconds;
  Counter retries;
};

/// controller_runtime_webhook_…, for one path.
struct WebhookMetrics {
  Histogram latency_seconds;  ///< buckets from 50 µs
  Gauge in_flight;
};

/// gobuildenv_informer_…, for one watched kind.
struct InformerMetrics {
  Counter events;
  Counter lists;
  Counter watches;
  Counter failures;       ///< requests and streams that ended with an error
  Counter decode_errors;  ///< objects that could not be decoded and were skipped
  Gauge objects;
  Gauge last_event_age_seconds;
};

/// The process's metrics, under the names existing dashboards use. Thread-safe.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// The metric of that name and those labels, made at the first call. `name` has its unit and
  /// `_total` in it; our own begin with gobuildenv_. No label holds a pod, branch or commit.
  Counter counter(const std::string& name, const std::string& help,
                  const MetricLabels& labels = {});
  Gauge gauge(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  /// `buckets`: ascending upper bounds without +Inf.
  Histogram histogram(const std::string& name, const std::string& help,
                      const std::vector<double>& buckets, const MetricLabels& labels = {});

  ReconcileMetrics reconcile(const std::string& controller);
  WorkQueueMetrics work_queue(const std::string& name);
  WebhookMetrics webhook(const std::string& path);
  InformerMetrics informer(const std::string& resource);
  /// controller_runtime_webhook_requests_total{webhook,code}
  Counter webhook_requests(const std::string& path, int code);
  /// rest_client_requests_total{code,method,host}; code "<error>" where there was no answer.
  void count_request(const std::string& code, const std::string& method, const std::string& host);
  /// leader_election_master_status{name}
  Gauge leader(const std::string& name);
  /// certwatcher_read_certificate_total and …_errors_total
  Counter certificate_reads();
  Counter certificate_read_errors();

  /// Keeps a collector in place; destroying it removes the collector and waits for a call of it
  /// in progress.
  class Registration {
   public:
    Registration() = default;
    explicit Registration(std::shared_ptr<void> token) : token_(std::move(token)) {}

   private:
    std::shared_ptr<void> token_;
  };
  /// `collect` runs before each exposition, to set gauges that are computed (ages, depths). It must
  /// not call add_collector() or text().
  [[nodiscard]] Registration add_collector(std::function<void()> collect);

  /// Text exposition format 0.0.4; its content type is kContentType.
  [[nodiscard]] std::string text();
  static constexpr const char* kContentType = "text/plain; version=0.0.4; charset=utf-8";

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace gobuildenv::kube
