#pragma once

#include "agent/caches/take.hpp"

namespace gobuildenv::agent {

/// Makes a build cache's next layer: what `uppers` have that the base has not, then of the base
/// what there is room for, the latest first. An output is taken only with the content that its name
/// says; that the action belongs to it is the trusted build's word. Anything else of a GOCACHE
/// (fuzz corpora, executables for `go run`, notes) is not shared. Nothing taken: the layer is not
/// worth having.
[[nodiscard]] tl::expected<TakeReport, TakeError> take_builds(const TakeInput& in);

}  // namespace gobuildenv::agent
