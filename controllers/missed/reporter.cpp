#include "controllers/missed/reporter.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "controllers/missed/decide.hpp"

namespace gobuildenv::controllers {
namespace {

/// How long before the end of another's lead, or before our start where nobody led, pods are told
/// of. Longer than a leader's report takes (five pods a second) and clocks differ.
constexpr std::int64_t kNewsAge = 600;

std::int64_t unix_seconds(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

bool went_without(const PodRecord* pod) {
  return pod != nullptr && !pod->finished && !pod->revision && !pod->answered;
}

bool got_it(const PodRecord* pod) {
  return pod != nullptr && !pod->finished && pod->revision && !pod->environment->empty();
}

}  // namespace

MissedPods::MissedPods(Caches caches, kube::EventRecorder& events, kube::Clock& clock,
                       kube::Metrics* metrics, Options options)
    : caches_(caches),
      events_(events),
      clock_(clock),
      metrics_(metrics),
      options_(std::move(options)),
      news_since_(now() - kNewsAge),
      tokens_(options_.burst),
      refilled_(clock.now()) {
  if (metrics_ != nullptr) collector_ = metrics_->add_collector([this] { publish(); });
}

std::int64_t MissedPods::now() const { return unix_seconds(clock_.wall_now()); }

void MissedPods::lead(std::optional<std::chrono::system_clock::time_point> led_until) {
  const std::int64_t until = led_until ? std::min(unix_seconds(*led_until), now()) : now();
  const std::scoped_lock lock(mutex_);
  news_since_ = until - kNewsAge;
}

void MissedPods::publish() {
  const std::scoped_lock lock(mutex_);
  for (auto entry = counts_.begin(); entry != counts_.end();) {
    const Counts& counts = entry->second;
    const bool disabled = options_.injection_disabled && options_.injection_disabled(entry->first);
    metrics_
        ->gauge("gobuildenv_pods_missed",
                "Unfinished pods that asked for an environment and did not get it.",
                {{"namespace", entry->first}})
        .set(disabled ? 0 : counts.missed);
    metrics_
        ->gauge("gobuildenv_pods_injected", "Unfinished pods that got their environment.",
                {{"namespace", entry->first}})
        .set(counts.injected);
    // The gauges stay at 0; the counts need not.
    const bool none = counts.injected == 0 && counts.missed == 0;
    entry = none ? counts_.erase(entry) : std::next(entry);
  }
}

bool MissedPods::observe(const kube::Change<PodRecord>& change) {
  if (change.origin == kube::Origin::Resync) return false;
  const PodRecord* old_pod = change.old_value.get();
  const PodRecord* new_pod = change.new_value.get();
  const bool before = went_without(old_pod);
  const bool after = went_without(new_pod);
  const int injected = static_cast<int>(got_it(new_pod)) - static_cast<int>(got_it(old_pod));
  const std::scoped_lock lock(mutex_);
  if (before != after) counts_[change.key.ns].missed += after ? 1 : -1;
  if (injected != 0) counts_[change.key.ns].injected += injected;
  if (!change.new_value) reported_.erase(change.key);
  return after && !before;
}

kube::ReconcileResult MissedPods::reconcile(const kube::ObjectKey& key) {
  const auto pod = find_pod(caches_, key);
  if (!pod) return kube::ReconcileResult::done();
  const PodRecord& asking = *pod->value;
  MissedFacts facts;
  facts.ns = key.ns;
  facts.environment = *asking.environment;
  if (asking.revision) facts.revision = *asking.revision;
  facts.answered = asking.answered;
  facts.in_vain = waits_in_vain(caches_, key.ns, asking);
  facts.finished = asking.finished;
  facts.injection_disabled = options_.injection_disabled && options_.injection_disabled(key.ns);
  const auto environment = caches_.environments.get({key.ns, facts.environment});
  facts.environment_exists = environment != nullptr;
  facts.environment_served = environment && !environment->current.empty();
  {
    const std::scoped_lock lock(mutex_);
    facts.old_news = asking.created < news_since_;
  }
  const auto note = decide_missed(facts);
  if (!note) return kube::ReconcileResult::done();
  {
    const std::scoped_lock lock(mutex_);
    std::string& reported = reported_[key];
    if (reported == pod->meta.uid) return kube::ReconcileResult::done();
    const kube::Clock::Duration wait = turn();
    if (wait > kube::Clock::Duration::zero()) return kube::ReconcileResult::requeue_after(wait);
    reported = pod->meta.uid;
  }
  record(events_, kPodType, key, pod->meta.uid, *note);
  return kube::ReconcileResult::done();
}

void MissedPods::revisions_gone(const kube::ObjectKey& environment) {
  const std::scoped_lock lock(mutex_);
  gone_.insert(environment);
}

std::vector<kube::ObjectKey> MissedPods::stranded() {
  std::set<kube::ObjectKey> gone;
  {
    const std::scoped_lock lock(mutex_);
    gone.swap(gone_);
  }
  std::vector<kube::ObjectKey> out;
  if (gone.empty()) return out;
  for (const auto* pods : {&caches_.pods, &caches_.chosen_pods}) {
    for (auto& pod : pods->items()) {
      if (gone.contains({pod.meta.key.ns, *pod.value->environment}) &&
          waits_in_vain(caches_, pod.meta.key.ns, *pod.value)) {
        out.push_back(std::move(pod.meta.key));
      }
    }
  }
  return out;
}

kube::Clock::Duration MissedPods::turn() {
  const kube::Clock::TimePoint now = clock_.now();
  const double passed = std::chrono::duration<double>(now - refilled_).count();
  refilled_ = now;
  tokens_ = std::min(options_.burst, tokens_ + passed * options_.events_per_second);
  constexpr double kWhole = 1 - 1e-6;  // sums of parts fall short of it
  if (tokens_ >= kWhole) {
    tokens_ -= 1;
    return {};
  }
  const std::chrono::duration<double> each(1 / options_.events_per_second);
  last_turn_ = std::max(last_turn_, now) + std::chrono::ceil<kube::Clock::Duration>(each);
  return last_turn_ - now;
}

}  // namespace gobuildenv::controllers
