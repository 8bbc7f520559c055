#include "kube/events.hpp"

#include <spdlog/spdlog.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "kube/request_builder.hpp"

namespace gobuildenv::kube {
namespace {

const ResourceType kEvents{"events.k8s.io", "v1", "events", "Event", true};
/// How often counts of series are looked at while no Event comes.
constexpr std::chrono::seconds kLookAround{15};

}  // namespace

struct EventWriter::Impl {
  Impl(Client& client_in, EventRecorderOptions options_in, Clock& clock_in, Random random)
      : client(client_in),
        options(std::move(options_in)),
        clock(clock_in),
        series(options.series, clock_in, std::move(random)) {}

  void drop() const {
    if (options.dropped) {
      options.dropped();
    }
  }

  void write(const EventWrite& write, Deadline deadline) {
    Client::Result result =
        write.create ? client.create(kEvents, write.key.ns, write.body, deadline)
                     : client.patch(kEvents, write.key, write.body, kMergePatch, "", deadline);
    if (!result && !write.create && result.error().kind == Error::Kind::NotFound) {
      result = client.create(kEvents, write.key.ns, write.recreate, deadline);
    }
    if (!result) {
      drop();
      spdlog::debug("Event not written name={} error=\"{}\"", write.key.name,
                    result.error().message);
    }
  }

  void run() {
    std::unique_lock lock(mutex);
    auto look_around = clock.now() + kLookAround;
    for (;;) {
      while (queue.empty() && !stopping && clock.now() < look_around) {
        clock.wait_until(lock, wake, look_around);
      }
      if (!queue.empty()) {
        const Event event = std::move(queue.front());
        queue.pop_front();
        const Deadline until = stopping ? last_call : Deadline(clock.now() + options.write_timeout);
        lock.unlock();
        if (clock.now() >= until) {
          drop();
        } else if (const auto needed = series.add(event)) {
          write(*needed, until);
        }
        lock.lock();
        continue;
      }
      const bool last = stopping;
      const Deadline until = last ? last_call : Deadline(clock.now() + options.write_timeout);
      lock.unlock();
      for (const auto& needed : series.due(last)) {
        if (clock.now() < until) {
          write(needed, until);
        }
      }
      lock.lock();
      if (last) {
        return;
      }
      look_around = clock.now() + kLookAround;
    }
  }

  Client& client;
  const EventRecorderOptions options;
  Clock& clock;
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Event> queue;
  bool stopping = false;
  Deadline last_call{};
  EventSeries series;  ///< the thread's own
  std::thread thread;
};

EventWriter::EventWriter(Client& client, EventRecorderOptions options, Clock& clock, Random random)
    : impl_(std::make_unique<Impl>(client, std::move(options), clock, std::move(random))) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

EventWriter::~EventWriter() { stop(); }

void EventWriter::record(Event event) noexcept {
  try {
    {
      const std::lock_guard lock(impl_->mutex);
      if (!impl_->stopping && impl_->queue.size() < impl_->options.queue) {
        impl_->queue.push_back(std::move(event));
        impl_->wake.notify_one();
        return;
      }
    }
    impl_->drop();
  } catch (const std::exception&) {
    // Out of memory: an Event is the last thing to insist on.
  }
}

void EventWriter::stop() noexcept {
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->stopping) {
      impl_->stopping = true;
      impl_->last_call = impl_->clock.now() + impl_->options.stop_timeout;
    }
    impl_->wake.notify_one();
  }
  if (impl_->thread.joinable()) {
    impl_->thread.join();
  }
}

}  // namespace gobuildenv::kube
