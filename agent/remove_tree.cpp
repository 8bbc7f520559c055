#include "agent/remove_tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "agent/unique_fd.hpp"

namespace gobuildenv::agent {
namespace {

std::error_code last_error() { return {errno, std::generic_category()}; }

/// Empties `folder`, which lies on `device`; depth is bounded by the names the agent accepts.
std::error_code empty(UniqueFd folder, dev_t device) {
  struct stat found {};
  if (::fstat(folder.get(), &found) != 0) return last_error();
  if (found.st_dev != device) return std::make_error_code(std::errc::cross_device_link);
  ::fchmod(folder.get(), 0700);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(folder.get()), ::closedir);
  if (!entries) return last_error();
  const int fd = folder.release();
  std::error_code first;
  errno = 0;
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (::unlinkat(fd, name.c_str(), 0) != 0 && errno != ENOENT) {
      if (errno != EISDIR && errno != EPERM) {
        if (!first) first = last_error();
        continue;
      }
      UniqueFd below(::openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!below && errno == EACCES) {
        ::fchmodat(fd, name.c_str(), 0700, 0);
        below.reset(::openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      }
      std::error_code failed = below ? empty(std::move(below), device) : last_error();
      if (!failed && ::unlinkat(fd, name.c_str(), AT_REMOVEDIR) != 0) failed = last_error();
      if (failed && !first) first = failed;
    }
    errno = 0;
  }
  return first;
}

}  // namespace

std::error_code remove_tree(const std::string& path) {
  UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) {
    if (errno == ENOENT) return {};
    if (errno != ENOTDIR && errno != ELOOP) return last_error();
    return ::unlink(path.c_str()) == 0 || errno == ENOENT ? std::error_code{} : last_error();
  }
  struct stat found {};
  if (::fstat(folder.get(), &found) != 0) return last_error();
  if (const auto failed = empty(std::move(folder), found.st_dev)) return failed;
  return ::rmdir(path.c_str()) == 0 || errno == ENOENT ? std::error_code{} : last_error();
}

}  // namespace gobuildenv::agent
