#pragma once

#include "agent/caches/take.hpp"

namespace gobuildenv::agent {

/// Makes a module cache's next layer: what `uppers` have that the base has not, then of the base
/// what there is room for, the latest first. A module's zip is copied, hashed again and compared
/// with its `.ziphash`; its files are extracted anew from that copy, whatever the pod has made of
/// them; its `.mod` must be the go.mod in the zip, its `.info` must be of its version. So go.sum of
/// whoever reads it decides, as after a download. Nothing else of a GOMODCACHE is shared: lists of
/// versions, locks, clones, the checksum database's tiles, toolchains.
[[nodiscard]] tl::expected<TakeReport, TakeError> take_modules(const TakeInput& in);

}  // namespace gobuildenv::agent
