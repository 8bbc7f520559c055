#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "agent/node/node_cache_plan.hpp"
#include "agent/node/node_cache_status.hpp"
#include "kube/client.hpp"
#include "kube/clock.hpp"
#include "kube/events.hpp"
#include "kube/metrics.hpp"

namespace gobuildenv::agent {

struct NodeCachePublisherEdges {
  kube::Client& client;
  kube::EventRecorder& events;
  kube::Clock& clock;
  kube::Metrics& metrics;
  kube::Random random;
};

/// Keeps this node's GoNodeCache: makes it, owned by the Node, writes its status by server-side
/// apply when WritePlan says so, makes it again when somebody deletes it, and tells what changed by
/// Events on it. Owns a thread.
class NodeCachePublisher {
 public:
  /// `gather` is called on the publisher's thread. The edges outlive it.
  NodeCachePublisher(std::string node, std::function<NodeCacheFacts()> gather,
                     NodeCachePublisherEdges edges);
  ~NodeCachePublisher();
  NodeCachePublisher(const NodeCachePublisher&) = delete;
  NodeCachePublisher& operator=(const NodeCachePublisher&) = delete;

  void start();
  /// Ends the thread; a request in progress is finished.
  void stop();

  /// Something may be different. Any thread; cheap.
  void changed();

  /// One turn, on the calling thread: looks, decides, writes if it is time. Gives when the next is
  /// due without a change. For start()'s thread and for tests.
  kube::Clock::TimePoint turn();

 private:
  void run();
  [[nodiscard]] kube::Deadline deadline() const;
  /// Reads what is there; false when the API server did not say.
  bool look(kube::Clock::TimePoint now);
  bool count_nodes();
  bool create();
  bool write(const crds::NodeCacheStatus& status);
  void tell(const crds::NodeCacheStatus& before, const crds::NodeCacheStatus& after);
  void log_failure(const char* what, const kube::Error& error);

  const std::string node_;
  const std::function<NodeCacheFacts()> gather_;
  NodeCachePublisherEdges edges_;
  const kube::Counter written_;
  const kube::Counter failed_;
  const kube::Clock::TimePoint started_;

  // The thread's own:
  WritePlan plan_;
  NodeCacheMemory memory_;
  std::string uid_;  ///< of the object; empty: there is none
  std::optional<crds::NodeCacheStatus> published_;
  kube::Clock::TimePoint check_at_{};  ///< the epoch: at once
  std::optional<kube::Clock::TimePoint> counted_at_;
  std::string last_failure_;
  bool looked_ = false;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool changed_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace gobuildenv::agent
