#pragma once

#include <gtest/gtest.h>

#include <chrono>

#include "kube/events.hpp"
#include "kube/informer.hpp"

/// Caches that hold what a test shows them by observe_write(), as a watch would.
namespace gobuildenv::controllers::testing {

/// The first, empty list is in the cache: what the test shows comes after it.
template <class T>
void sync(kube::Informer<T>& informer) {
  informer.start();
  ASSERT_TRUE(informer.wait_for_sync(std::chrono::steady_clock::now() + std::chrono::seconds(20)));
}

class CollectedEvents final : public kube::EventRecorder {
 public:
  std::vector<kube::Event> events;
  void record(kube::Event event) noexcept override { events.push_back(std::move(event)); }
};

}  // namespace gobuildenv::controllers::testing
