#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// /proc/self/mountinfo (proc_pid_mountinfo(5)), as far as volumes need it. Pure.
namespace gobuildenv::agent {

struct MountEntry {
  std::string device;       ///< "major:minor"
  std::string root;         ///< path within the file system that is mounted
  std::string mount_point;  ///< as this process sees it
  std::string fs_type;
  std::string options;  ///< of the file system, "rw,lowerdir=/a,upperdir=/b"
  friend bool operator==(const MountEntry&, const MountEntry&) = default;
};

/// Every line that can be read, in the kernel's order: of two at one mount point the later one
/// covers the earlier.
[[nodiscard]] std::vector<MountEntry> parse_mountinfo(std::string_view text);

/// Where a path lies within its file system.
struct PlaceOnDisk {
  std::string device;
  std::string path;
  friend bool operator==(const PlaceOnDisk&, const PlaceOnDisk&) = default;
};

/// For an absolute, resolved path; empty when no entry holds it.
[[nodiscard]] std::optional<PlaceOnDisk> place_on_disk(const std::vector<MountEntry>& mounts,
                                                       std::string_view path);

/// A bind mount of something below the root at a volume's place, or an overlay of it.
struct MountedVolume {
  std::string target;                   ///< below the folder of pods
  std::string source;                   ///< below the root; of an overlay its upper folder
  std::string lower;                    ///< of an overlay, below the root
  std::vector<std::string> newer = {};  ///< mounted below its folder .newer; below the root
  friend bool operator==(const MountedVolume&, const MountedVolume&) = default;
};

/// The mounts at volumes' places below `pods_dir` that come from below `root`, both absolute and
/// resolved.
[[nodiscard]] std::vector<MountedVolume> mounted_volumes(const std::vector<MountEntry>& mounts,
                                                         std::string_view root,
                                                         std::string_view pods_dir);

}  // namespace gobuildenv::agent
