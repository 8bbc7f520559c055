#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "agent/node/environment_record.hpp"
#include "agent/node/prefetch_plan.hpp"

namespace gobuildenv::agent {

struct PrefetchOptions {
  NodePlatform platform;
  collector::Limits limits;  ///< of the node
  /// Wanted toolchains are looked at again this often: failed fetches, files somebody removed, a
  /// disk that has room again.
  std::chrono::seconds interval{30};
};

/// All of it outlives the Prefetcher. Functions are called on its thread.
struct PrefetchEdges {
  ToolchainProvider& toolchains;
  kube::Clock& clock;
  std::function<bool()> synced;  ///< the environments have been listed
  std::function<std::vector<std::shared_ptr<const EnvironmentRecord>>()> environments;
  std::function<std::optional<collector::Disk>()> disk;
  std::function<void()> changed;  ///< waiting() says something else now
};

/// What environments name and what waits, because of the disk or for its turn.
struct PrefetchWaiting {
  std::vector<ToolchainWant> wants;
  bool held = false;  ///< the disk is above the high watermark
};

/// Has the toolchains fetched that new pods of the cluster's environments would get, as far as the
/// disk has room. Thread-safe.
class Prefetcher {
 public:
  Prefetcher(PrefetchOptions options, PrefetchEdges edges);
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  void start();
  void stop();
  /// Environments or fetches are other ones now.
  void wake();
  [[nodiscard]] PrefetchWaiting waiting() const;

 private:
  void run();
  void look();

  const PrefetchOptions options_;
  const PrefetchEdges edges_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool woken_ = false;
  bool stopping_ = false;
  PrefetchWaiting waiting_;
  std::thread thread_;
};

}  // namespace gobuildenv::agent
