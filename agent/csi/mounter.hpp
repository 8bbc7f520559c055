#pragma once

#include <memory>
#include <string>
#include <tl/expected.hpp>

namespace gobuildenv::agent {

/// Why a mount could not be made or undone; `message` names path and cause.
struct MountError {
  enum class Kind {
    SourceMissing,  ///< what is to be mounted is not there (any more)
    PodMissing,     ///< the kubelet's folder for the volume is not there: the pod is being removed
    Busy,           ///< somebody still works in it
    Other,
  };
  Kind kind = Kind::Other;
  std::string message;
};

/// Folders below the root. Nobody but the agent can rename any folder on the way to them.
struct OverlayLayers {
  std::string lower;  ///< never written to while it is mounted
  std::string upper;  ///< what the pod writes
  std::string work;   ///< empty, beside `upper`
};

/// Mounts at volumes' places. Sources are relative to the agent's root, targets to the kubelet's
/// folder of pods; no symlink is followed below either. Thread-safe for different targets.
class Mounter {
 public:
  virtual ~Mounter() = default;
  Mounter() = default;
  Mounter(const Mounter&) = delete;
  Mounter& operator=(const Mounter&) = delete;

  /// Makes the target's last folder and mounts `source` on it, nosuid and nodev, and read-only
  /// before anybody can see it. Nothing is mounted after an error.
  virtual tl::expected<void, MountError> bind(const std::string& source, const std::string& target,
                                              bool read_only) = 0;

  /// Mounts `source` read-only on `folder` below `target`, where `outer` is mounted read-only; the
  /// folder is made in `outer` itself. Already there is success.
  virtual tl::expected<void, MountError> bind_inside(const std::string& source,
                                                     const std::string& outer,
                                                     const std::string& target,
                                                     const std::string& folder) = 0;

  /// As bind(), writable, with an overlay of `layers.upper` over `layers.lower`. Other: this kernel
  /// or file system cannot do it.
  virtual tl::expected<void, MountError> overlay(const OverlayLayers& layers,
                                                 const std::string& target) = 0;

  /// As bind(), read-only, with a folder in memory that holds `file` of one `line`.
  virtual tl::expected<void, MountError> note(const std::string& file, const std::string& line,
                                              const std::string& target) = 0;

  /// Whether anything is mounted at `target`; false when it is not there.
  virtual tl::expected<bool, MountError> is_mounted(const std::string& target) = 0;

  /// Takes away every mount at `target`, those of bind_inside() first, and its last folder. Nothing
  /// there is success.
  virtual tl::expected<void, MountError> unmount(const std::string& target) = 0;
};

/// By the kernel's mount API (open_tree, fsopen, mount_setattr, move_mount: Linux 5.12 and newer).
/// Both folders exist and are absolute paths. Needs CAP_SYS_ADMIN.
[[nodiscard]] std::unique_ptr<Mounter> make_kernel_mounter(std::string root, std::string pods_dir);

}  // namespace gobuildenv::agent
