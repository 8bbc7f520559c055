#pragma once

#include <string>

#include "goenv/pod_plan.hpp"
#include "webhooks/pod/ci_systems.hpp"
#include "webhooks/pod/pod_view.hpp"

namespace gobuildenv::webhooks {

/// Why `container` is left alone, empty when it is to be changed. The order of the rules is their
/// precedence: a CI system's helpers, exclude, include, then what the kind of container implies.
std::string reason_to_skip(const ContainerView& container, const CiSystem* system,
                           const goenv::PodPlan& plan);

}  // namespace gobuildenv::webhooks
