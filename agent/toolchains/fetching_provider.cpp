#include "agent/toolchains/fetching_provider.hpp"

#include <malloc.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace gobuildenv::agent {
namespace {

using Kind = ToolchainState::Kind;

class FetchingProvider final : public ToolchainProvider {
 public:
  FetchingProvider(ToolchainStore& store, ProviderOptions options, kube::Clock& clock,
                   kube::Random random)
      : store_(store), options_(std::move(options)), clock_(clock), random_(std::move(random)) {}

  ~FetchingProvider() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    stop_.stop();
    wake_.notify_all();
    threads_.clear();  // joins
  }

  ToolchainState state(const ToolchainWant& want) override {
    if (auto ready = ready_state(want)) return *std::move(ready);
    const std::lock_guard lock(mutex_);
    const auto flight = flights_.find(want);
    return flight == flights_.end() ? ToolchainState{} : flight->second.state;
  }

  ToolchainState ensure(const ToolchainWant& want) override { return begin(want, false); }

  ToolchainState wait(const ToolchainWant& want, kube::Clock::TimePoint deadline) override {
    for (;;) {
      ToolchainState now = begin(want, true);
      if (now.kind == Kind::Ready || clock_.now() >= deadline) return now;
      std::unique_lock lock(mutex_);
      if (stopping_) return now;
      const Flight& flight = flights_[want];
      if (flight.state != now && flight.state.kind != Kind::Fetching) continue;
      if (now.kind == Kind::Failed && !flight.may_pass) return now;
      clock_.wait_until(lock, wake_,
                        now.kind == Kind::Failed ? std::min(now.retry_at, deadline) : deadline);
    }
  }

  std::vector<Entry> entries() override {
    std::vector<Entry> out;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [want, flight] : flights_) out.push_back({want, flight.state});
    }
    for (Entry& entry : out) {
      if (entry.state.kind == Kind::Fetching) continue;
      if (auto ready = ready_state(entry.want)) {
        entry.state = *std::move(ready);
      } else if (entry.state.kind == Kind::Ready) {
        entry.state = {};  // collected since
      }
    }
    std::erase_if(out, [](const Entry& entry) { return entry.state.kind == Kind::Absent; });
    return out;
  }

  std::vector<StoredToolchain> stored() override { return store_.list(); }

 private:
  struct Flight {
    ToolchainState state;
    int failures = 0;
    bool may_pass = false;
    bool awaited = false;  ///< by a pod, and not only fetched ahead
  };

  ToolchainState begin(const ToolchainWant& want, bool awaited) {
    auto ready = ready_state(want);
    const std::lock_guard lock(mutex_);
    Flight& flight = flights_[want];
    if (flight.state.kind == Kind::Fetching) {
      flight.awaited |= awaited;
      return flight.state;
    }
    if (ready) {
      flight = {*ready};
      return *std::move(ready);
    }
    const bool waits = flight.state.kind == Kind::Failed && clock_.now() < flight.state.retry_at;
    if (!waits && !stopping_) {
      ToolchainState again;
      again.kind = Kind::Fetching;
      again.reason = std::move(flight.state.reason);
      again.message = std::move(flight.state.message);
      flight.state = std::move(again);
      flight.awaited = awaited;
      queue_.push_back(want);
      if (threads_.size() < options_.parallel) threads_.emplace_back([this] { work(); });
      wake_.notify_all();
    }
    return flight.state;
  }

  /// Always asks the disk: the collector may have taken what was there.
  std::optional<ToolchainState> ready_state(const ToolchainWant& want) {
    const auto stored = store_.find(want);
    if (!stored) return std::nullopt;
    return ready_from(*stored);
  }

  static ToolchainState ready_from(const StoredToolchain& stored) {
    ToolchainState state;
    state.kind = Kind::Ready;
    state.goroot = stored.goroot();
    state.h1 = stored.record.h1;
    state.bytes = stored.record.bytes;
    return state;
  }

  void work() {
    for (;;) {
      ToolchainWant want;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return stopping_ || next_startable() != queue_.end(); });
        if (stopping_) return;
        const auto next = next_startable();
        want = std::move(*next);
        queue_.erase(next);
        busy_.insert(want.id);
      }
      changed(want, {});
      const auto began = clock_.now();
      FetchFigures figures;
      const auto outcome = fetch(want, figures);
      figures.elapsed = clock_.now() - began;
      {
        const std::lock_guard lock(mutex_);
        busy_.erase(want.id);
        finish(flights_[want], outcome);
        // Trust store and buffers are done with: an idle agent keeps none of their memory.
        if (busy_.empty() && queue_.empty()) ::malloc_trim(0);
      }
      wake_.notify_all();
      changed(want, figures);
    }
  }

  /// What pods wait for comes first. One flight a toolchain: who wants it pinned may find it shared
  /// a moment later.
  std::deque<ToolchainWant>::iterator next_startable() {
    const auto startable = [this](const ToolchainWant& want) { return !busy_.contains(want.id); };
    const auto awaited = std::find_if(queue_.begin(), queue_.end(), [&](const ToolchainWant& want) {
      return startable(want) && flights_[want].awaited;
    });
    return awaited != queue_.end() ? awaited
                                   : std::find_if(queue_.begin(), queue_.end(), startable);
  }

  tl::expected<StoredToolchain, Failure> fetch(const ToolchainWant& want, FetchFigures& figures) {
    if (auto stored = store_.find(want)) return *std::move(stored);
    const auto progress = [&](std::uint64_t bytes, std::uint64_t total) {
      figures.downloaded = bytes;
      const std::lock_guard lock(mutex_);
      ToolchainState& state = flights_[want].state;
      state.bytes = bytes;
      state.total_bytes = total;
    };
    const auto now =
        std::chrono::duration_cast<std::chrono::seconds>(clock_.wall_now().time_since_epoch())
            .count();
    try {
      auto heads = open_heads();
      if (!heads) return tl::unexpected(heads.error());
      return fetch_toolchain(want, store_, *heads, options_.fetch, stop_, progress, now);
    } catch (const std::exception& error) {
      return tl::unexpected(Failure{"DiskError", error.what(), true});
    }
  }

  tl::expected<sumdb::HeadStore*, Failure> open_heads() {
    if (!options_.fetch.database) return nullptr;
    const std::lock_guard lock(heads_mutex_);
    if (!heads_) {
      const auto& key = options_.fetch.database->key;
      auto opened = open_head_store(store_.root(), key);
      if (!opened) return tl::unexpected(opened.error());
      heads_ = *std::move(opened);
    }
    return heads_.get();
  }

  void finish(Flight& flight, const tl::expected<StoredToolchain, Failure>& outcome) {
    if (outcome) {
      flight = {ready_from(*outcome)};
      return;
    }
    const Failure& failure = outcome.error();
    const double base = static_cast<double>(options_.retry_base.count());
    const double max = static_cast<double>(options_.retry_max.count());
    constexpr int kManyFailures = 20;
    double wait = max;
    if (failure.may_pass) {
      wait = std::min(max, base * static_cast<double>(1U << static_cast<unsigned>(std::min(
                                                          flight.failures, kManyFailures))));
    }
    wait *= 1 + random_() / 5;
    flight.failures += 1;
    flight.may_pass = failure.may_pass;
    flight.state = {};
    flight.state.kind = Kind::Failed;
    flight.state.reason = failure.reason;
    flight.state.message = failure.message;
    flight.state.retry_at =
        clock_.now() + std::chrono::milliseconds(static_cast<std::int64_t>(wait));
  }

  void changed(const ToolchainWant& want, const FetchFigures& figures) {
    if (!options_.changed) return;
    ToolchainState now;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      now = flights_[want].state;
    }
    options_.changed(want, now, figures);
  }

  ToolchainStore& store_;
  const ProviderOptions options_;
  kube::Clock& clock_;
  const kube::Random random_;
  FetchStop stop_;

  std::mutex heads_mutex_;
  std::unique_ptr<sumdb::HeadStore> heads_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<ToolchainWant, Flight> flights_;
  std::deque<ToolchainWant> queue_;
  std::set<ToolchainId> busy_;
  bool stopping_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace

std::unique_ptr<ToolchainProvider> make_toolchain_provider(ToolchainStore& store,
                                                           ProviderOptions options,
                                                           kube::Clock& clock,
                                                           kube::Random random) {
  return std::make_unique<FetchingProvider>(store, std::move(options), clock, std::move(random));
}

}  // namespace gobuildenv::agent
