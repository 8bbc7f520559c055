#pragma once

#include <string>

#include "agent/csi/volume_record.hpp"
#include "agent/csi/volume_spec.hpp"

namespace gobuildenv::agent {

/// Which cache a volume belongs to.
struct CacheAnswer {
  enum class Kind {
    Shared,   ///< `cache`: "caches/<namespace uid>/<environment or _namespace>/<mod or build>"
    Own,      ///< the pod's alone; `why` says so to people
    Unknown,  ///< it cannot be said yet; `why`, and asking again may help
  };
  Kind kind = Kind::Own;
  std::string cache;
  std::string why;
};

/// Caches that pods share, as volumes see them: agent/caches implements it. Thread-safe.
class SharedCaches {
 public:
  virtual ~SharedCaches() = default;
  SharedCaches() = default;
  SharedCaches(const SharedCaches&) = delete;
  SharedCaches& operator=(const SharedCaches&) = delete;

  /// By what the kubelet says of the pod and what its namespace's GoBuildEnv declares.
  virtual CacheAnswer cache_of(const VolumeSpec& spec) = 0;

  /// The layer that pods of `cache` read now, below the root; empty when there is none yet.
  virtual std::string newest(const std::string& cache) = 0;

  /// Whether what the pod wrote is to be taken over by hand_over() instead of thrown away.
  virtual bool wants(const VolumeRecord& record) = 0;

  /// Takes the volume's private parts in one rename; nothing there (any more) is success.
  virtual tl::expected<void, std::string> hand_over(const VolumeRecord& record) = 0;
};

}  // namespace gobuildenv::agent
