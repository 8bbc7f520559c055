#include "agent/durable_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "agent/unique_fd.hpp"
#include "agent/write_all.hpp"

namespace gobuildenv::agent {
namespace {

std::error_code last_error() { return {errno, std::generic_category()}; }

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

std::error_code write_durably(const std::string& path, std::string_view content,
                              const StepHook& hook) {
  const std::string fresh = path + ".new";
  {
    const UniqueFd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!file) return last_error();
    if (const auto failed = write_all(file.get(), content)) {
      ::unlink(fresh.c_str());
      return failed;
    }
    if (::fsync(file.get()) != 0) {
      const auto failed = last_error();
      ::unlink(fresh.c_str());
      return failed;
    }
  }
  step(hook, "file-written");
  if (::rename(fresh.c_str(), path.c_str()) != 0) return last_error();
  step(hook, "file-renamed");
  return sync_folder(parent_of(path));
}

std::error_code sync_folder(const std::string& path) {
  const UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) return last_error();
  return {};
}

std::error_code make_folders(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) == 0) return sync_folder(parent_of(path));
  if (errno == ENOENT && parent_of(path) != path) {
    if (const auto failed = make_folders(parent_of(path))) return failed;
    if (::mkdir(path.c_str(), 0755) == 0) return sync_folder(parent_of(path));
  }
  if (errno != EEXIST) return last_error();
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return last_error();
  return S_ISDIR(found.st_mode) ? std::error_code{}
                                : std::error_code(ENOTDIR, std::generic_category());
}

}  // namespace gobuildenv::agent
