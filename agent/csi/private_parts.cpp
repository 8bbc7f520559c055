#include "agent/csi/private_parts.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>

#include "agent/csi/beneath.hpp"

namespace gobuildenv::agent {
namespace {

using tl::unexpected;

unexpected<std::string> fail(std::string_view what, const std::string& path) {
  return unexpected(fmt::format("cannot {} {}: {}", what, path, ::strerror(errno)));
}

/// A name that nobody else has in the trash.
std::string random_name() {
  std::array<std::uint64_t, 2> bits{};
  while (::getrandom(bits.data(), sizeof(bits), 0) < 0 && errno == EINTR) {
  }
  return fmt::format("{:016x}{:016x}", bits[0], bits[1]);
}

/// Makes a folder where it is not there yet, and opens it. `path` is for errors.
tl::expected<UniqueFd, std::string> enter(int parent, const std::string& name,
                                          const std::string& path) {
  if (::mkdirat(parent, name.c_str(), 0700) != 0 && errno != EEXIST) return fail("make", path);
  UniqueFd folder = open_beneath(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!folder) return fail("open", path);
  return folder;
}

/// <root>/pods/<volume id>/<name>, made where it is missing.
tl::expected<UniqueFd, std::string> enter_part(const std::string& root,
                                               const std::string& volume_id,
                                               const std::string& name) {
  const UniqueFd top = open_folder(root + "/pods");
  if (!top) return fail("open", root + "/pods");
  const std::string path = fmt::format("{}/pods/{}", root, volume_id);
  const auto volume = enter(top.get(), volume_id, path);
  if (!volume) return unexpected(volume.error());
  return enter(volume->get(), name, path + "/" + name);
}

tl::expected<void, std::string> set_mode(int fd, mode_t mode, const std::string& path) {
  if (::fchmod(fd, mode) != 0) return fail("set the mode of", path);
  return {};
}

}  // namespace

tl::expected<PrivateParts, std::string> PrivateParts::open(std::string root) {
  for (const char* name : {"/pods", "/trash"}) {
    const std::string path = root + name;
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return fail("make", path);
  }
  return PrivateParts(std::move(root));
}

tl::expected<std::string, std::string> PrivateParts::make_writable(
    const std::string& volume_id, std::string_view name, std::optional<std::uint32_t> group) const {
  const std::string path = fmt::format("pods/{}/{}", volume_id, name);
  const auto folder = enter_part(root_, volume_id, std::string(name));
  if (!folder) return unexpected(folder.error());
  // The group first: changing it may clear the bit that hands it down.
  if (group && ::fchown(folder->get(), static_cast<uid_t>(-1), *group) != 0) {
    return fail("set the group of", path);
  }
  if (auto done = set_mode(folder->get(), group ? 02777 : 0777, path); !done) {
    return unexpected(done.error());
  }
  return path;
}

tl::expected<std::string, std::string> PrivateParts::make_work(const std::string& volume_id,
                                                               std::string_view name) const {
  const auto folder = enter_part(root_, volume_id, std::string(name));
  if (!folder) return unexpected(folder.error());
  return fmt::format("pods/{}/{}", volume_id, name);
}

tl::expected<void, std::string> PrivateParts::write_for_all(const std::string& volume_id,
                                                            std::string_view name,
                                                            std::string_view file,
                                                            std::string_view content) const {
  const auto folder = enter_part(root_, volume_id, std::string(name));
  if (!folder) return unexpected(folder.error());
  const std::string path = fmt::format("pods/{}/{}/{}", volume_id, name, file);
  const UniqueFd out(::openat(folder->get(), std::string(file).c_str(),
                              O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!out ||
      ::write(out.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size())) {
    return fail("write", path);
  }
  return set_mode(out.get(), 0666, path);
}

tl::expected<std::string, std::string> PrivateParts::make_note(const std::string& volume_id,
                                                               std::string_view name,
                                                               std::string_view file,
                                                               std::string_view line) const {
  const std::string path = fmt::format("pods/{}/{}", volume_id, name);
  const auto folder = enter_part(root_, volume_id, std::string(name));
  if (!folder) return unexpected(folder.error());
  const std::string file_name(file);
  const UniqueFd note(::openat(folder->get(), file_name.c_str(),
                               O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!note) return fail("write", path + "/" + file_name);
  std::string text(line.substr(0, line.find('\n')));
  text += '\n';
  if (::write(note.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return fail("write", path + "/" + file_name);
  }
  // Whatever the umask of the agent is.
  if (auto done = set_mode(note.get(), 0444, path); !done) return unexpected(done.error());
  if (auto done = set_mode(folder->get(), 0555, path); !done) return unexpected(done.error());
  return path;
}

tl::expected<void, std::string> PrivateParts::discard(const std::string& volume_id) const {
  const std::string from = root_ + "/pods/" + volume_id;
  const std::string to = root_ + "/trash/" + random_name();
  if (::rename(from.c_str(), to.c_str()) != 0 && !is_missing(from)) return fail("discard", from);
  return {};
}

std::set<std::string> PrivateParts::list() const {
  std::set<std::string> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root_ + "/pods", error)) {
    out.insert(entry.path().filename().string());
  }
  return out;
}

}  // namespace gobuildenv::agent
