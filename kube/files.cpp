#include "kube/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace gobuildenv::kube {

tl::expected<std::string, std::error_code> read_small_file(const std::string& path,
                                                           std::size_t limit) {
  const auto last_error = [] {
    return tl::unexpected(std::error_code(errno, std::generic_category()));
  };
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return last_error();
  }
  std::string out;
  char chunk[16384];
  for (;;) {
    const ssize_t got = read(fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      auto error = last_error();
      close(fd);
      return error;
    }
    if (got == 0) {
      break;
    }
    out.append(chunk, static_cast<std::size_t>(got));
    if (out.size() > limit) {
      close(fd);
      return tl::unexpected(std::make_error_code(std::errc::file_too_large));
    }
  }
  close(fd);
  return out;
}

FileStamp stamp_of(const std::string& path) {
  struct stat status {};
  if (path.empty() || stat(path.c_str(), &status) != 0) {
    return {};
  }
  return {
      static_cast<std::uint64_t>(status.st_dev), static_cast<std::uint64_t>(status.st_ino),
      static_cast<std::int64_t>(status.st_size),
      static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec};
}

}  // namespace gobuildenv::kube
