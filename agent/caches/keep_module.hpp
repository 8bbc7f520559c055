#pragma once

#include <string>
#include <utility>

#include "agent/caches/module_files.hpp"
#include "agent/caches/take.hpp"

/// What the next layer has of a module of the layer below it, in which the collector may be at
/// work.
namespace gobuildenv::agent {

/// "a/b@v1" → "a", "b@v1"
[[nodiscard]] std::pair<std::string, std::string> split_module(const std::string& name);

/// Whether a module of the layer `base` is as go extracted it, with or without its zip.
[[nodiscard]] bool is_extracted(const Fd& base, const ModuleFiles& module);

/// Links what `in.base` has of the module `name` into the next layer, and counts it. What the
/// collector takes meanwhile is not there either. Error: the disk failed.
[[nodiscard]] tl::expected<void, TakeError> keep_module(const TakeInput& in,
                                                        const std::string& name,
                                                        const ModuleFiles& module,
                                                        TakeReport& report);

}  // namespace gobuildenv::agent
