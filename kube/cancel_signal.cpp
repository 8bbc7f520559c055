#include "kube/cancel_signal.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <system_error>

namespace gobuildenv::kube {

CancelSignal::CancelSignal() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_ < 0) {
    throw std::system_error(errno, std::generic_category(), "eventfd");
  }
}

CancelSignal::~CancelSignal() { close(fd_); }

void CancelSignal::raise() noexcept {
  raised_.store(true, std::memory_order_release);
  const std::uint64_t one = 1;
  // Never read back, so it stays readable; a full counter means it was raised before.
  [[maybe_unused]] const auto written = write(fd_, &one, sizeof one);
}

Waited wait_for(const CancelSignal& done, const CancelSignal* cancel,
                std::chrono::steady_clock::time_point deadline) {
  using std::chrono::milliseconds;
  // poll() leaves out descriptors below zero.
  std::array<pollfd, 2> fds{
      {{done.fd(), POLLIN, 0}, {cancel == nullptr ? -1 : cancel->fd(), POLLIN, 0}}};
  for (;;) {
    if (done.raised()) {
      return Waited::Done;
    }
    if (cancel != nullptr && cancel->raised()) {
      return Waited::Cancelled;
    }
    const auto left =
        std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) {
      return Waited::Timeout;
    }
    poll(fds.data(), fds.size(), static_cast<int>(std::min<long long>(left, 60'000)));
  }
}

}  // namespace gobuildenv::kube
