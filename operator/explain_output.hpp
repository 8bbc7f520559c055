#pragma once

#include <string>

#include "webhooks/pod/explain.hpp"

namespace gobuildenv::cli {

/// An explanation for people: environment and reason, then container by container. `subject` is
/// "Pod ci/build".
std::string explanation_text(const std::string& subject, const webhooks::Explanation& explanation);

/// The same for machines, as JSON text; its keys are part of the command line's contract.
std::string explanation_json(const std::string& subject, const webhooks::Explanation& explanation);

}  // namespace gobuildenv::cli
