#include "kube/request_stop.hpp"

#include <spdlog/spdlog.h>

namespace gobuildenv::kube {

StopAfter::StopAfter(Clock& clock, Clock::Duration grace, RequestStop& requests)
    : thread_([this, &clock, grace, &requests] {
        if (!done_.sleep(clock, grace)) return;
        spdlog::warn("requests are cut off, the server has not answered them after_ms={}",
                     std::chrono::duration_cast<std::chrono::milliseconds>(grace).count());
        requests.stop();
      }) {}

StopAfter::~StopAfter() {
  done_.stop();
  thread_.join();
}

}  // namespace gobuildenv::kube
