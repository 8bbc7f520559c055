#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <tl/expected.hpp>
#include <vector>

#include "agent/caches/layers.hpp"
#include "agent/csi/shared_caches.hpp"
#include "goenv/spec.hpp"
#include "kube/clock.hpp"

namespace gobuildenv::agent {

/// What the cluster says. Called on several threads.
struct CacheLookups {
  /// `spec.cache` of a GoBuildEnv; nothing: the namespace has none of that name. Error: not known
  /// yet, with the reason.
  std::function<tl::expected<std::optional<goenv::Cache>, std::string>(
      const std::string& ns, const std::string& environment)>
      declared;
  /// Empty: not known.
  std::function<std::string(const std::string& ns)> namespace_uid;
};

/// What became of one pod's cache, for the log and metrics.
struct PromotionResult {
  enum class Kind { Published, NothingNew, NotTrusted, Failed };
  Kind kind = Kind::NothingNew;
  VolumeRecord record;
  Promotion promotion;
  /// Not empty: the volume whose result has the counts, of both. Several that waited for the same
  /// cache became one layer.
  std::string along_with;
  std::string why;  ///< of NotTrusted and Failed
};

struct NodeCachesOptions {
  std::string root;     ///< absolute, resolved
  std::string boot_id;  ///< of this boot of the node, as in the records
  /// Promotions whose GoBuildEnv is not known yet are looked at again this often.
  std::chrono::seconds retry{30};
  /// Pods' caches that wait at most; what comes then is thrown away.
  std::size_t max_pending = 64;
  /// Keeps a cache from the collector while a layer is made of it. May be empty.
  std::function<std::shared_ptr<void>(std::string folder, std::string why)> lease;
  StepHook hook;  ///< sees those of PromotionInput, and "given", "dropped"
};

/// Shared caches of a node. What trusted pods wrote waits in `<root>/promotions/<volume id>/`, with
/// the volume's record beside it, and becomes part of a new layer in the background, one cache
/// after the other, at idle priority; what waits for the same cache is one layer. It survives a
/// restart of the agent, not one of the node.
class NodeCaches final : public SharedCaches {
 public:
  using Done = std::function<void(const PromotionResult&)>;

  /// Makes its folders, and puts what an interrupted promotion made into the trash. `done` is
  /// called on the background thread; something is in the trash then.
  static tl::expected<std::unique_ptr<NodeCaches>, std::string> open(NodeCachesOptions options,
                                                                     CacheLookups lookups,
                                                                     kube::Clock& clock, Done done);
  ~NodeCaches() override;

  void start();
  /// Ends within one file; what is left is done after the next start.
  void stop();

  /// One round over everything that waits, on this thread. Gives how many still wait.
  std::size_t promote_pending();

  CacheAnswer cache_of(const VolumeSpec& spec) override;
  std::string newest(const std::string& cache) override;
  bool wants(const VolumeRecord& record) override;
  tl::expected<void, std::string> hand_over(const VolumeRecord& record) override;

 private:
  NodeCaches(NodeCachesOptions options, CacheLookups lookups, kube::Clock& clock, Done done,
             Fd root, Fd queue);
  [[nodiscard]] std::vector<std::string> pending() const;
  /// One that waits. While it is alive nobody else takes it, nor the collector.
  struct Waiting {
    std::string id;
    Fd folder;
    PromotionResult result;  ///< settled when its `why` is not empty
    /// As its GoBuildEnv declares now: of modules and build outputs together, and whether both are
    /// in caches of the same owner.
    std::uint64_t max_bytes = 0;
    bool shares_both = false;
  };
  [[nodiscard]] std::map<std::string, std::vector<std::string>> by_cache() const;
  /// Nothing: it waits on (`left` grows), or is gone.
  std::optional<Waiting> take_up(const std::string& volume_id, std::size_t& left);
  /// Those that are settled, and what becomes of the others together. Gives how many wait on.
  std::size_t settle(std::vector<Waiting> waiting);
  tl::expected<Promotion, std::string> make_layer(std::span<const Waiting> trusted);
  void finish(const Waiting& one);
  void drop(const std::string& volume_id);
  void run();

  const NodeCachesOptions options_;
  const CacheLookups lookups_;
  kube::Clock& clock_;
  const Done done_;
  const Fd root_;
  const Fd queue_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool more_ = true;
  std::thread worker_;
};

}  // namespace gobuildenv::agent
