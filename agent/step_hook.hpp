#pragma once

#include <functional>
#include <string_view>

namespace gobuildenv::agent {

/// Called between durable steps with the name of the step that has just been done. Empty in
/// production; tests end the process or throw here, to show that every half-done state is safe.
using StepHook = std::function<void(std::string_view step)>;

/// Calls `hook` if there is one.
inline void step(const StepHook& hook, std::string_view name) {
  if (hook) hook(name);
}

}  // namespace gobuildenv::agent
