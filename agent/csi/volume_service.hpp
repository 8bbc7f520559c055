#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "agent/csi/mounter.hpp"
#include "agent/csi/private_parts.hpp"
#include "agent/csi/shared_caches.hpp"
#include "agent/csi/volume_registry.hpp"
#include "agent/csi/volume_spec.hpp"
#include "agent/step_hook.hpp"
#include "agent/toolchains/provider.hpp"
#include "kube/clock.hpp"

/// NodePublishVolume and NodeUnpublishVolume without their transport. The order of steps is what
/// makes every interruption safe: private parts, record, mount; then unmount, private parts,
/// record. Repeating either call finishes what an earlier one began.
///
/// On a read-only disk toolchains that are in the store are mounted, and markers where they are
/// not; their records are written when they can be. Caches fail, with what is to be done.
namespace gobuildenv::agent {

/// A call that failed; `code` is the gRPC status it becomes.
struct CallError {
  enum class Code { InvalidArgument, AlreadyExists, Aborted, Cancelled, Unavailable, Internal };
  Code code = Code::Internal;
  std::string message;
};

/// Which toolchain a volume gets, by the GoBuildEnvs of its namespace.
struct WantError {
  std::string message;    ///< a sentence for the build's log and for Events
  bool may_pass = false;  ///< caches may not have caught up: worth asking again
};
/// Keeps a folder below the root from the collector until it is destroyed.
using UnitLease = std::shared_ptr<void>;
using TakeLease = std::function<UnitLease(std::string folder, std::string why)>;
using WantLookup = std::function<tl::expected<ToolchainWant, WantError>(const VolumeSpec&)>;

/// GOROOTs, absolute, that a volume may hold beside the one it names.
using NewerLookup =
    std::function<std::vector<std::string>(const VolumeSpec&, const ToolchainWant&)>;

/// What happens to volumes, for Events, metrics and ages. Called on the calls' threads.
class VolumeObserver {
 public:
  virtual ~VolumeObserver() = default;
  VolumeObserver() = default;
  VolumeObserver(const VolumeObserver&) = delete;
  VolumeObserver& operator=(const VolumeObserver&) = delete;
  /// The toolchain is not there yet; once a call, `why` says what it waits for.
  virtual void waiting(const VolumeSpec&, const std::string& /*why*/) {}
  /// A cache of a shared scope was asked for, and the pod got one of its own, for the reason `why`.
  virtual void not_shared(const VolumeSpec&, const std::string& /*why*/) {}
  /// A newer toolchain could not be mounted inside the declared one, for the reason `why`.
  virtual void not_offered(const VolumeRecord&, const std::string& /*why*/) {}
  /// Its record is in memory alone, as the disk is read-only.
  virtual void not_recorded(const VolumeRecord&, const std::string& /*why*/) {}
  virtual void published(const VolumeRecord&) {}
  virtual void released(const VolumeRecord&) {}
  /// What the pod wrote is to be taken over into the cache that it shares.
  virtual void handed_over(const VolumeRecord&) {}
  /// It could not be, for the reason `why`.
  virtual void not_taken(const VolumeRecord&, const std::string& /*why*/) {}
};

struct VolumeServiceOptions {
  std::string root;      ///< absolute, resolved, without a slash at the end
  std::string pods_dir;  ///< absolute, as the kubelet writes it
  std::string boot_id;   ///< of this boot of the node, for records
  /// How long a volume waits for its toolchain. The kubelet gives a call two minutes.
  std::chrono::seconds wait{90};
  /// How long a cache waits for its GoBuildEnv to be known, before the pod gets one of its own.
  std::chrono::seconds cache_wait{10};
  /// Kept back from the caller's deadline, to mount and answer in.
  std::chrono::seconds margin{10};
  /// How often a waiting call looks whether it is still wanted.
  std::chrono::milliseconds poll{500};
  /// After this long `waiting` is told.
  std::chrono::seconds patience{2};
  /// Sees "parts", "recorded", "mounted" of a publish; "unmounted", "handed-over" where it is,
  /// "discarded", "removed" of an unpublish.
  StepHook hook;
};

/// Of one call. Empty: nobody cancels it.
struct CallContext {
  kube::Clock::TimePoint deadline = kube::Clock::TimePoint::max();
  std::function<bool()> cancelled;
};

/// Thread-safe; everything it is given outlives it.
class VolumeService {
 public:
  struct Parts {
    VolumeRegistry& registry;
    PrivateParts& files;
    Mounter& mounter;
    ToolchainProvider& toolchains;
    WantLookup want;
    kube::Clock& clock;
    VolumeObserver& observer;
    /// From before a volume's parts are looked for until its record is there. May be empty.
    TakeLease lease = {};
    SharedCaches* caches = nullptr;  ///< null: none are shared
    NewerLookup newer = {};          ///< may be empty
  };
  VolumeService(VolumeServiceOptions options, Parts parts);

  /// A toolchain that does not come in time gives an empty volume with a marker, not an error:
  /// goenv/scripts/README.md.
  tl::expected<void, CallError> publish(const PublishCall& call, const CallContext& context);
  tl::expected<void, CallError> unpublish(const std::string& volume_id,
                                          const std::string& target_path);

  /// Waiting calls end with Unavailable, and so do new ones that would wait.
  void begin_shutdown() { stopping_ = true; }

 private:
  struct Source {
    std::string path;  ///< below the root
    std::string unavailable;
    bool in_memory = false;  ///< the marker: the disk cannot be written
    UnitLease lease;         ///< of a toolchain
    std::string cache;       ///< as in VolumeRecord
    std::string lower;
    std::string work;
    std::vector<std::string> newer;
  };
  tl::expected<Source, CallError> find_toolchain(const VolumeSpec& spec,
                                                 const CallContext& context);
  tl::expected<Source, CallError> make_source(const VolumeSpec& spec, const CallContext& context);
  /// The shared cache a volume belongs to; empty: none.
  std::string find_cache(const VolumeSpec& spec, const CallContext& context);
  tl::expected<Source, CallError> make_cache(const VolumeSpec& spec, const std::string& cache,
                                             bool layered);
  tl::expected<void, MountError> mount(const VolumeSpec& spec, const Source& source);
  /// Mounts what is not there yet of the record's newer toolchains. One that cannot be is left out:
  /// go then says what it misses.
  void mount_newer(const VolumeRecord& record);
  /// Throws away or hands over what the pod wrote.
  tl::expected<void, CallError> give_up_parts(const std::string& volume_id,
                                              const std::optional<VolumeRecord>& record);
  tl::expected<void, CallError> put_record(const VolumeRecord& record);
  tl::expected<bool, CallError> already_there(const VolumeSpec& spec);
  [[nodiscard]] UnitLease take_lease(std::string folder, const VolumeSpec& spec) const;
  [[nodiscard]] VolumeRecord make_record(const VolumeSpec& spec, const Source& source) const;
  /// Takes back what publish() has made so far.
  void undo(const VolumeSpec& spec);

  const VolumeServiceOptions options_;
  Parts parts_;
  VolumeLocks locks_;
  std::atomic<bool> stopping_{false};
};

}  // namespace gobuildenv::agent
