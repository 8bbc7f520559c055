#include "kube/work_queue.hpp"

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>

#include "kube/store_entry.hpp"

namespace gobuildenv::kube {
namespace {

double seconds(Clock::Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

std::size_t ObjectKeyHash::operator()(const ObjectKey& key) const noexcept {
  return hash_object_key(key.ns, key.name);
}

WorkQueue::WorkQueue(Clock& clock, WorkQueueOptions options, Metrics* metrics)
    : clock_(clock), options_(std::move(options)) {
  if (metrics == nullptr) return;
  metrics_ = metrics->work_queue(options_.name);
  collector_ = metrics->add_collector([this] {
    const std::lock_guard lock(mutex_);
    publish_locked();
  });
}

WorkQueue::~WorkQueue() { shut_down(); }

void WorkQueue::add(const ObjectKey& key, Priority priority) {
  const std::lock_guard lock(mutex_);
  if (shutting_down_) return;
  add_locked(key, priority);
}

void WorkQueue::add_after(const ObjectKey& key, Clock::Duration delay, Priority priority) {
  const std::lock_guard lock(mutex_);
  if (shutting_down_) return;
  if (delay <= Clock::Duration::zero()) {
    add_locked(key, priority);
  } else {
    delay_locked(key, clock_.now() + delay, priority);
  }
}

void WorkQueue::add_rate_limited(const ObjectKey& key, Priority priority) {
  const std::lock_guard lock(mutex_);
  if (shutting_down_) return;
  const int failures = failures_[key]++;
  auto delay = options_.retry_base;
  for (int i = 0; i < failures && delay < options_.retry_max; ++i) delay *= 2;
  delay = std::min(delay, options_.retry_max);
  if (metrics_) metrics_->retries.add();
  delay_locked(key, clock_.now() + delay, priority);
}

void WorkQueue::forget(const ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  failures_.erase(key);
}

void WorkQueue::add_locked(const ObjectKey& key, Priority priority) {
  Item& item = items_[key];
  if (item.processing) {
    // One worker per key: it comes back with done().
    if (!item.again && metrics_) metrics_->adds.add();
    item.priority = item.again ? std::max(item.priority, priority) : priority;
    item.again = true;
    return;
  }
  if (item.waiting) {
    if (priority <= item.priority) return;
    item.priority = priority;
    push_locked(key, item);  // the old entry's ticket no longer counts
    return;
  }
  if (metrics_) metrics_->adds.add();
  item.priority = priority;
  item.ready_since = clock_.now();
  item.waiting = true;
  ++waiting_;
  push_locked(key, item);
}

void WorkQueue::push_locked(const ObjectKey& key, Item& item) {
  item.ticket = ++next_ticket_;
  ready_[static_cast<std::size_t>(item.priority)].push_back({key, item.ticket});
  wake_.notify_one();
}

void WorkQueue::delay_locked(const ObjectKey& key, Clock::TimePoint due, Priority priority) {
  Item& item = items_[key];
  if (item.due) {
    item.due_priority = std::max(item.due_priority, priority);
    if (*item.due <= due) return;
    due_.erase({*item.due, key});
  } else {
    item.due_priority = priority;
  }
  item.due = due;
  const bool first = due_.empty() || due < due_.begin()->first;
  due_.insert({due, key});
  // Whoever waits does so for the former first time; one sleeper with the new one is enough.
  if (first) wake_.notify_one();
}

void WorkQueue::release_due_locked() {
  if (due_.empty()) return;
  const auto now = clock_.now();
  while (!due_.empty() && due_.begin()->first <= now) {
    const ObjectKey key = due_.begin()->second;
    due_.erase(due_.begin());
    Item& item = items_[key];
    item.due.reset();
    add_locked(key, item.due_priority);
  }
}

std::optional<ObjectKey> WorkQueue::pop_locked() {
  for (const auto priority : {Priority::Normal, Priority::Low}) {
    auto& ready = ready_[static_cast<std::size_t>(priority)];
    while (!ready.empty()) {
      Ready next = std::move(ready.front());
      ready.pop_front();
      const auto found = items_.find(next.key);
      if (found == items_.end() || !found->second.waiting || found->second.ticket != next.ticket) {
        continue;
      }
      Item& item = found->second;
      item.waiting = false;
      item.processing = true;
      item.started = clock_.now();
      --waiting_;
      ++processing_;
      if (metrics_) metrics_->queue_seconds.observe(seconds(item.started - item.ready_since));
      return std::move(next.key);
    }
  }
  return std::nullopt;
}

std::optional<ObjectKey> WorkQueue::get() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (!shutting_down_) release_due_locked();
    if (!drop_waiting_) {
      if (auto key = pop_locked()) {
        // Somebody else must watch the time while this thread is away working.
        if (!due_.empty()) wake_.notify_one();
        return key;
      }
    }
    if (shutting_down_) return std::nullopt;
    if (due_.empty()) {
      wake_.wait(lock);
    } else {
      clock_.wait_until(lock, wake_, due_.begin()->first);
    }
  }
}

std::optional<ObjectKey> WorkQueue::try_get() {
  const std::lock_guard lock(mutex_);
  if (!shutting_down_) release_due_locked();
  if (drop_waiting_) return std::nullopt;
  return pop_locked();
}

void WorkQueue::done(const ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  const auto found = items_.find(key);
  if (found == items_.end() || !found->second.processing) return;
  Item& item = found->second;
  item.processing = false;
  --processing_;
  const auto now = clock_.now();
  if (metrics_) metrics_->work_seconds.observe(seconds(now - item.started));
  if (item.again && !shutting_down_) {
    item.again = false;
    item.waiting = true;
    item.ready_since = now;
    ++waiting_;
    push_locked(key, item);
    return;
  }
  drop_if_idle_locked(key);
}

void WorkQueue::drop_if_idle_locked(const ObjectKey& key) {
  const auto found = items_.find(key);
  if (found == items_.end()) return;
  const Item& item = found->second;
  if (!item.waiting && !item.processing && !item.due) items_.erase(found);
}

void WorkQueue::shut_down(Drain drain) {
  const std::lock_guard lock(mutex_);
  shutting_down_ = true;
  drop_waiting_ = drop_waiting_ || drain == Drain::Processing;
  due_.clear();
  wake_.notify_all();
}

std::size_t WorkQueue::depth() const {
  const std::lock_guard lock(mutex_);
  return drop_waiting_ ? 0 : waiting_;
}

std::size_t WorkQueue::delayed() const {
  const std::lock_guard lock(mutex_);
  return due_.size();
}

std::size_t WorkQueue::processing() const {
  const std::lock_guard lock(mutex_);
  return processing_;
}

int WorkQueue::failures(const ObjectKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = failures_.find(key);
  return found == failures_.end() ? 0 : found->second;
}

Clock::Duration WorkQueue::longest_processing() const {
  const std::lock_guard lock(mutex_);
  Clock::Duration longest{};
  if (processing_ == 0) return longest;
  const auto now = clock_.now();
  for (const auto& [key, item] : items_) {
    if (item.processing) longest = std::max(longest, now - item.started);
  }
  return longest;
}

void WorkQueue::publish_locked() {
  const auto now = clock_.now();
  Clock::Duration longest{};
  Clock::Duration sum{};
  if (processing_ > 0) {
    for (const auto& [key, item] : items_) {
      if (!item.processing) continue;
      longest = std::max(longest, now - item.started);
      sum += now - item.started;
    }
  }
  metrics_->depth.set(drop_waiting_ ? 0 : static_cast<double>(waiting_));
  metrics_->unfinished_seconds.set(seconds(sum));
  metrics_->longest_running_seconds.set(seconds(longest));
}

}  // namespace gobuildenv::kube
