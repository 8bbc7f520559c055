#include "agent/node/root_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <cerrno>
#include <cstring>

namespace gobuildenv::agent {
namespace {

constexpr std::chrono::milliseconds kAskAgain{100};

}  // namespace

tl::expected<RootLock, std::string> RootLock::take(const std::string& root,
                                                   std::chrono::milliseconds patience,
                                                   kube::Clock& clock) {
  const std::string path = root + "/agent.lock";
  constexpr int kSafely = O_CLOEXEC | O_NOFOLLOW;
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | kSafely, 0600));
  if (!file && errno == EROFS) {
    // The disk has become read-only: what is on it is still to be served. Locking writes nothing.
    file.reset(::open(path.c_str(), O_RDONLY | kSafely));
    if (!file && errno == ENOENT) errno = EROFS;
  }
  if (!file) return tl::unexpected(fmt::format("cannot open {}: {}", path, ::strerror(errno)));
  kube::StopSignal never;
  const auto until = clock.now() + patience;
  while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      return tl::unexpected(fmt::format("cannot lock {}: {}", path, ::strerror(errno)));
    }
    if (clock.now() >= until) {
      return tl::unexpected(fmt::format(
          "another agent uses {}: stop it, or give this one a folder of its own", root));
    }
    never.sleep(clock, kAskAgain);
  }
  return RootLock(std::move(file));
}

}  // namespace gobuildenv::agent
