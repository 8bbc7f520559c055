#include "agent/collector/trash.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>  // NOLINT(modernize-deprecated-headers): renameat2() is Linux's
#include <sys/random.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>

namespace gobuildenv::agent::collector {

std::string random_name() {
  std::uint64_t value = 0;
  while (::getrandom(&value, sizeof value, 0) != static_cast<ssize_t>(sizeof value)) {
  }
  return fmt::format("{:016x}", value);
}

IoResult<Trash> Trash::open(const Fd& root) {
  constexpr mode_t kPrivate = 0700;
  if (::mkdirat(root.get(), "trash", kPrivate) != 0 && errno != EEXIST) {
    return tl::unexpected(last_error());
  }
  auto folder = open_folder(root.get(), "trash");
  if (!folder) return tl::unexpected(folder.error());
  return Trash(std::move(*folder));
}

std::error_code Trash::take(int dir, const std::string& name) const {
  for (;;) {
    const std::string target = random_name();
    if (::renameat2(dir, name.c_str(), folder_.get(), target.c_str(), RENAME_NOREPLACE) == 0) {
      return {};
    }
    if (errno != EEXIST) return last_error();
  }
}

}  // namespace gobuildenv::agent::collector
