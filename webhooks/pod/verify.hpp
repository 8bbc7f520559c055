#pragma once

#include <simdjson.h>

#include <string>
#include <string_view>

/// The last look at a patch before it is sent. A patch that does not apply, or that makes a pod the
/// API server refuses, rejects the pod even under failurePolicy Ignore. It is checked from its
/// text, so that a fault in the decision or the writer shows.
namespace gobuildenv::webhooks {

/// Checks that every operation of `patch` applies to `pod` (the Pod or template at `prefix`), and
/// that on the touched subtrees volume names, mount paths and added variables are unique, mounts
/// have their volume, and only what injection may change is changed. Empty: it holds; else the
/// reason.
std::string verify_patch(simdjson::dom::element pod, std::string_view patch,
                         std::string_view prefix);

}  // namespace gobuildenv::webhooks
