#include "kube/controller.hpp"

#include <spdlog/spdlog.h>

#include <exception>
#include <utility>

namespace gobuildenv::kube {

Controller::Controller(ControllerOptions options, Clock& clock, Metrics* metrics,
                       Reconcile reconcile)
    : options_(std::move(options)),
      clock_(clock),
      reconcile_(std::move(reconcile)),
      queue_(clock, {options_.name, options_.retry_base, options_.retry_max}, metrics) {
  if (metrics != nullptr) metrics_ = metrics->reconcile(options_.name);
  metrics_.max_concurrent.set(options_.workers);
}

Controller::~Controller() {
  request_stop();
  join();
}

void Controller::start() {
  for (int i = 0; i < options_.workers; ++i) workers_.emplace_back([this] { work(); });
}

void Controller::request_stop() { queue_.shut_down(WorkQueue::Drain::Processing); }

void Controller::join() {
  for (auto& worker : workers_) worker.join();
  workers_.clear();
}

bool Controller::hung() const { return queue_.longest_processing() > options_.hung_after; }

void Controller::work() {
  while (const auto key = queue_.get()) process(*key);
}

bool Controller::run_one() {
  const auto key = queue_.try_get();
  if (!key) return false;
  process(*key);
  return true;
}

void Controller::process(const ObjectKey& key) {
  if (options_.gate && !options_.gate(key)) {
    queue_.add_after(key, options_.gate_retry);
    queue_.done(key);
    return;
  }
  metrics_.active_workers.add(1);
  const auto started = clock_.now();
  const ReconcileResult result = call(key);
  metrics_.seconds.observe(std::chrono::duration<double>(clock_.now() - started).count());
  metrics_.active_workers.add(-1);

  switch (result.kind) {
    case ReconcileResult::Kind::Done:
      metrics_.success.add();
      queue_.forget(key);
      break;
    case ReconcileResult::Kind::RequeueAfter:
      metrics_.requeue_after.add();
      queue_.forget(key);
      queue_.add_after(key, result.after);
      break;
    case ReconcileResult::Kind::Retry:
      metrics_.error.add();
      metrics_.errors.add();
      spdlog::warn("reconcile failed, will be retried controller={} namespace={} name={} error={}",
                   options_.name, key.ns, key.name, result.message);
      if (result.after > Clock::Duration::zero()) {
        queue_.add_after(key, result.after);
      } else {
        queue_.add_rate_limited(key);
      }
      break;
    case ReconcileResult::Kind::Final:
      metrics_.error.add();
      metrics_.errors.add();
      metrics_.final_errors.add();
      spdlog::error("reconcile failed for good controller={} namespace={} name={} error={}",
                    options_.name, key.ns, key.name, result.message);
      queue_.forget(key);
      break;
  }
  // Last, so that a key is never with two workers.
  queue_.done(key);
}

ReconcileResult Controller::call(const ObjectKey& key) {
  try {
    return reconcile_(key);
  } catch (const std::exception& error) {
    metrics_.panics.add();
    return ReconcileResult::retry(std::string("exception: ") + error.what());
  } catch (...) {
    metrics_.panics.add();
    return ReconcileResult::retry("exception of an unknown type");
  }
}

}  // namespace gobuildenv::kube
