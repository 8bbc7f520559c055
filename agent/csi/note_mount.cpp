#include "agent/csi/note_mount.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "agent/write_all.hpp"

namespace gobuildenv::agent {
namespace {

tl::unexpected<MountError> fail(std::string_view doing, int error) {
  return tl::unexpected(
      MountError{MountError::Kind::Other,
                 fmt::format("cannot {} a note in memory: {}", doing, ::strerror(error))});
}

}  // namespace

tl::expected<UniqueFd, MountError> make_note_mount(const std::string& file, std::string_view line) {
  const UniqueFd context(::fsopen("tmpfs", FSOPEN_CLOEXEC));
  const auto set = [&](const char* key, const char* value) {
    return ::fsconfig(context.get(), FSCONFIG_SET_STRING, key, value, 0) == 0;
  };
  const bool made = context && set("source", "gobuildenv") && set("size", "64k") &&
                    set("mode", "0555") &&
                    ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0;
  if (!made) return fail("make", errno);
  UniqueFd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC,
                           MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  if (!mount) return fail("mount", errno);
  {
    const UniqueFd note(
        ::openat(mount.get(), file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
    if (!note) return fail("write", errno);
    std::string text(line.substr(0, line.find('\n')));
    text += '\n';
    if (const auto error = write_all(note.get(), text)) return fail("write", error.value());
    // Whatever the umask of the agent is.
    if (::fchmod(note.get(), 0444) != 0) return fail("write", errno);
  }
  struct mount_attr attributes {};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  attributes.propagation = MS_PRIVATE;
  if (::mount_setattr(mount.get(), "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) != 0) {
    return fail("close", errno);
  }
  return mount;
}

}  // namespace gobuildenv::agent
