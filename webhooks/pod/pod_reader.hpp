#pragma once

#include <simdjson.h>

#include "webhooks/pod/pod_view.hpp"

/// For the few translation units that hold a parsed document (simdjson.h is a heavy header).
namespace gobuildenv::webhooks {

/// Reads a Pod or pod template object. The views live as long as the parser's document.
PodView read_pod(simdjson::dom::element object);

}  // namespace gobuildenv::webhooks
