#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "agent/csi/beneath.hpp"
#include "agent/csi/mounter.hpp"
#include "agent/csi/note_mount.hpp"
#include "agent/csi/volume_record.hpp"

namespace gobuildenv::agent {
namespace {

using tl::unexpected;
using Kind = MountError::Kind;

unexpected<MountError> fail(Kind kind, std::string_view what, const std::string& path, int error) {
  return unexpected(
      MountError{kind, fmt::format("{} {}: {}", what, path, ::strerror(error))});  // NOLINT
}

/// A volume's place: its parent, made by the kubelet, and the name of the last folder in it.
struct Place {
  UniqueFd parent;
  std::string name;
  [[nodiscard]] std::string path() const {
    // The link leads to the very folder that was opened; only what comes after it is looked up.
    return fmt::format("/proc/self/fd/{}/{}", parent.get(), name);
  }
};

/// Gives the id of the mount that `name` in `folder` is part of; covers included.
tl::expected<std::uint64_t, int> mount_id(int folder, const char* name) {
  struct statx found {};
  const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name == '\0' ? AT_EMPTY_PATH : 0);
  if (::statx(folder, name, flags, STATX_MNT_ID, &found) != 0) return unexpected(errno);
  return found.stx_mnt_id;
}

class KernelMounter final : public Mounter {
 public:
  KernelMounter(std::string root, std::string pods_dir)
      : root_(std::move(root)), pods_dir_(std::move(pods_dir)) {}

  tl::expected<void, MountError> bind(const std::string& source, const std::string& target,
                                      bool read_only) override {
    const auto copy = clone(source, read_only);
    if (!copy) return unexpected(copy.error());
    return attach(copy->get(), target);
  }

  tl::expected<void, MountError> bind_inside(const std::string& source, const std::string& outer,
                                             const std::string& target,
                                             const std::string& folder) override {
    const auto copy = clone(source, true);
    if (!copy) return unexpected(copy.error());
    if (auto made = make_folders(outer, folder); !made) return made;
    const auto place = open_place(target);
    if (!place) return unexpected(place.error());
    const UniqueFd on = open_beneath(place->parent.get(), place->name + "/" + folder,
                                     O_PATH | O_DIRECTORY | O_NOFOLLOW);
    const UniqueFd volume =
        open_beneath(place->parent.get(), place->name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    if (!on || !volume) return fail(Kind::Other, "cannot open " + folder + " in", target, errno);
    const auto inside = mount_id(on.get(), "");
    const auto outside = mount_id(volume.get(), "");
    if (!inside || !outside) return fail(Kind::Other, "cannot look at", target, errno);
    if (*inside != *outside) return {};
    if (::move_mount(copy->get(), "", on.get(), "",
                     MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
      return fail(Kind::Other, "cannot mount in", target, errno);
    }
    return {};
  }

  tl::expected<void, MountError> overlay(const OverlayLayers& layers,
                                         const std::string& target) override {
    const auto merged = merge(layers);
    if (!merged) return unexpected(merged.error());
    return attach(merged->get(), target);
  }

  tl::expected<void, MountError> note(const std::string& file, const std::string& line,
                                      const std::string& target) override {
    const auto made = make_note_mount(file, line);
    if (!made) return unexpected(made.error());
    return attach(made->get(), target);
  }

  tl::expected<bool, MountError> is_mounted(const std::string& target) override {
    const auto place = open_place(target);
    if (!place) {
      if (place.error().kind == Kind::PodMissing) return false;
      return unexpected(place.error());
    }
    return covered(*place, target);
  }

  tl::expected<void, MountError> unmount(const std::string& target) override {
    const auto place = open_place(target);
    if (!place) {
      if (place.error().kind == Kind::PodMissing) return {};
      return unexpected(place.error());
    }
    while (true) {
      const auto mounted = covered(*place, target);
      if (!mounted) return unexpected(mounted.error());
      if (!*mounted) break;
      if (auto gone = unmount_inside(*place, target); !gone) return gone;
      if (::umount2(place->path().c_str(), UMOUNT_NOFOLLOW) != 0) {
        return fail(errno == EBUSY ? Kind::Busy : Kind::Other, "cannot unmount", target, errno);
      }
    }
    if (::unlinkat(place->parent.get(), place->name.c_str(), AT_REMOVEDIR) != 0 &&
        errno != ENOENT) {
      return fail(Kind::Other, "cannot remove", target, errno);
    }
    return {};
  }

 private:
  /// `folder` below `top`, which is below the root; what is there stays.
  [[nodiscard]] tl::expected<void, MountError> make_folders(const std::string& top,
                                                            const std::string& folder) const {
    const UniqueFd root = open_folder(root_);
    std::string parent = top;
    for (std::size_t begin = 0; begin < folder.size();) {
      const auto end = std::min(folder.find('/', begin), folder.size());
      const std::string name = folder.substr(begin, end - begin);
      const UniqueFd in = open_beneath(root.get(), parent, O_PATH | O_DIRECTORY);
      if (!in || (::mkdirat(in.get(), name.c_str(), 0755) != 0 && errno != EEXIST)) {
        return fail(Kind::Other, "cannot make " + name + " in", parent, errno);
      }
      parent += "/" + name;
      begin = end + 1;
    }
    return {};
  }

  /// Only where pods cannot write: what is in their own volumes is not looked at.
  static tl::expected<void, MountError> unmount_inside(const Place& place,
                                                       const std::string& target) {
    const UniqueFd folder = open_beneath(
        place.parent.get(), place.name + "/" + std::string(kNewerFolder), O_RDONLY | O_DIRECTORY);
    struct statvfs about {};
    if (!folder || ::fstatvfs(folder.get(), &about) != 0 || (about.f_flag & ST_RDONLY) == 0) {
      return {};
    }
    const auto outside = mount_id(folder.get(), "");
    const std::string path = fmt::format("/proc/self/fd/{}/", folder.get());
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
      const std::string name = entry.path().filename().string();
      const auto inside = mount_id(folder.get(), name.c_str());
      if (!inside || !outside || *inside == *outside) continue;
      if (::umount2((path + name).c_str(), UMOUNT_NOFOLLOW) != 0) {
        return fail(errno == EBUSY ? Kind::Busy : Kind::Other, "cannot unmount " + name + " in",
                    target, errno);
      }
    }
    return {};
  }

  /// Mounts what is detached yet.
  [[nodiscard]] tl::expected<void, MountError> attach(int detached,
                                                      const std::string& target) const {
    const auto place = open_place(target);
    if (!place) return unexpected(place.error());
    const int parent = place->parent.get();
    if (::mkdirat(parent, place->name.c_str(), 0750) != 0 && errno != EEXIST) {
      return fail(Kind::Other, "cannot make", target, errno);
    }
    const UniqueFd folder = open_beneath(parent, place->name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    if (!folder) return fail(Kind::Other, "cannot open", target, errno);
    if (::move_mount(detached, "", folder.get(), "",
                     MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
      return fail(Kind::Other, "cannot mount at", target, errno);
    }
    return {};
  }

  /// A detached overlay. Its layers are opened by the kernel when it is made; the paths have only
  /// folders of ours in them, so nobody can turn them elsewhere.
  [[nodiscard]] tl::expected<UniqueFd, MountError> merge(const OverlayLayers& layers) const {
    if (root_.find_first_of(":,\\") != std::string::npos) {
      return unexpected(MountError{
          Kind::Other, fmt::format("--root: {}; overlays take no ':', ',' or backslash", root_)});
    }
    const UniqueFd root = open_folder(root_);
    if (!root) return fail(Kind::Other, "cannot open", root_, errno);
    for (const std::string* part : {&layers.lower, &layers.upper, &layers.work}) {
      if (open_beneath(root.get(), *part, O_PATH | O_DIRECTORY)) continue;
      return fail(errno == ENOENT ? Kind::SourceMissing : Kind::Other, "cannot open", *part, errno);
    }
    const UniqueFd context(::fsopen("overlay", FSOPEN_CLOEXEC));
    if (!context) return fail(Kind::Other, "cannot make an overlay of", layers.lower, errno);
    const auto set = [&](const char* key, const std::string& value) {
      return ::fsconfig(context.get(), FSCONFIG_SET_STRING, key, value.c_str(), 0) == 0;
    };
    const std::string prefix = root_ + "/";
    const bool done =
        set("source", "gobuildenv") && set("lowerdir", prefix + layers.lower) &&
        set("upperdir", prefix + layers.upper) && set("workdir", prefix + layers.work) &&
        // What a pod writes must not be able to name files of the layer below, nor to depend on it.
        set("redirect_dir", "nofollow") && set("metacopy", "off") && set("index", "off") &&
        set("xino", "off") &&
        // Without this the end of every pod would sync the whole file system. Whoever mounts again
        // begins with empty folders.
        ::fsconfig(context.get(), FSCONFIG_SET_FLAG, "volatile", nullptr, 0) == 0 &&
        ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0;
    if (!done) return fail(Kind::Other, "cannot make an overlay of", layers.lower, errno);
    UniqueFd merged(
        ::fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
    if (!merged) return fail(Kind::Other, "cannot mount an overlay of", layers.lower, errno);
    return merged;
  }

  /// A detached mount of `source`: what it may do is settled before it is attached anywhere.
  [[nodiscard]] tl::expected<UniqueFd, MountError> clone(const std::string& source,
                                                         bool read_only) const {
    const UniqueFd root = open_folder(root_);
    if (!root) return fail(Kind::Other, "cannot open", root_, errno);
    const UniqueFd from = open_beneath(root.get(), source, O_PATH | O_DIRECTORY);
    if (!from) {
      return fail(errno == ENOENT ? Kind::SourceMissing : Kind::Other, "cannot open", source,
                  errno);
    }
    UniqueFd copy(::open_tree(from.get(), "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    if (!copy) return fail(Kind::Other, "cannot take a mount of", source, errno);
    struct mount_attr attributes {};
    attributes.attr_set =
        MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (read_only ? MOUNT_ATTR_RDONLY : 0U);
    attributes.propagation = MS_PRIVATE;
    if (::mount_setattr(copy.get(), "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) != 0) {
      return fail(Kind::Other, "cannot set the attributes of a mount of", source, errno);
    }
    return copy;
  }

  [[nodiscard]] tl::expected<Place, MountError> open_place(const std::string& target) const {
    const UniqueFd pods = open_folder(pods_dir_);
    if (!pods) {
      return fail(errno == ENOENT ? Kind::PodMissing : Kind::Other, "cannot open", pods_dir_,
                  errno);
    }
    const auto slash = target.rfind('/');
    Place place;
    place.name = target.substr(slash + 1);
    place.parent = open_beneath(pods.get(), target.substr(0, slash), O_PATH | O_DIRECTORY);
    if (!place.parent) {
      return fail(errno == ENOENT ? Kind::PodMissing : Kind::Other, "cannot open the parent of",
                  target, errno);
    }
    return place;
  }

  static tl::expected<bool, MountError> covered(const Place& place, const std::string& target) {
    const auto inside = mount_id(place.parent.get(), place.name.c_str());
    if (!inside) {
      if (inside.error() == ENOENT) return false;
      return fail(Kind::Other, "cannot look at", target, inside.error());
    }
    const auto outside = mount_id(place.parent.get(), "");
    if (!outside) return fail(Kind::Other, "cannot look at the parent of", target, outside.error());
    return *inside != *outside;
  }

  const std::string root_;
  const std::string pods_dir_;
};

}  // namespace

std::unique_ptr<Mounter> make_kernel_mounter(std::string root, std::string pods_dir) {
  return std::make_unique<KernelMounter>(std::move(root), std::move(pods_dir));
}

}  // namespace gobuildenv::agent
