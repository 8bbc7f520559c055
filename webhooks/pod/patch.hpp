#pragma once

#include <string>
#include <string_view>

#include "webhooks/pod/changes.hpp"

namespace gobuildenv::webhooks {

/// The smallest JSONPatch (RFC 6902, only `add` and `replace`) that makes `changes` of `pod`, empty
/// when nothing is to be done. `prefix` is the pointer of the pod or pod template in its document:
/// "" for a Pod, "/spec/template" for a Deployment.
std::string render_patch(const PodView& pod, const Changes& changes, std::string_view prefix);

}  // namespace gobuildenv::webhooks
