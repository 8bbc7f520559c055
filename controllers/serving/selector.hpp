#pragma once

#include "goenv/spec.hpp"
#include "webhooks/environments.hpp"

namespace gobuildenv::controllers {

/// Whether a label selector (apimachinery pkg/apis/meta/v1) selects `labels`. An empty selector
/// selects everything, a requirement with an unknown operator nothing.
bool selects(const goenv::PodSelector& selector, const webhooks::Labels& labels);

}  // namespace gobuildenv::controllers
