#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "operator/documents.hpp"
#include "webhooks/pod/explain.hpp"

namespace gobuildenv::cli {

/// Decides for the pod or pod template at `pointer` of a manifest, in `ns` where it names no
/// namespace. Admission sees only what an API server has checked, so labels and variables that are
/// no strings (`value: 1`), which it would not look at, are errors here. Error: sentences with the
/// source, the fields and the fix.
tl::expected<webhooks::TemplateInjection, std::string> inject_document(
    const Document& document, std::string_view pointer, const std::string& ns,
    const webhooks::EnvironmentLookup& lookup);

}  // namespace gobuildenv::cli
