#include "agent/write_all.hpp"

#include <unistd.h>

#include <cerrno>

namespace gobuildenv::agent {

std::error_code write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return {errno, std::generic_category()};
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace gobuildenv::agent
