#pragma once

#include <string>
#include <tl/expected.hpp>

#include "agent/caches/take.hpp"
#include "agent/csi/volume_spec.hpp"

/// The layers of a shared cache: `<root>/<cache>/lower/<number>`, each complete and never changed.
namespace gobuildenv::agent {

/// The newest layer of `cache` below the root, as "<cache>/lower/<number>"; empty: none yet.
[[nodiscard]] std::string newest_layer(const Fd& root, const std::string& cache);

struct PromotionInput {
  const Fd& root;
  std::string cache;  ///< as in CacheAnswer
  VolumeKind kind = VolumeKind::Modules;
  std::span<const Fd> uppers;
  /// Below the root, where the layer is made: whatever is in it is not looked at, and what is left
  /// in it afterwards is to be thrown away. One promotion of a cache at a time.
  std::string workplace;
  TakeLimits limits;
  std::function<bool()> stopped;
  /// Sees, besides those of TakeInput, "made", "synced", "published", "named".
  StepHook hook;
};

struct Promotion {
  std::string layer;  ///< the new one; empty: there was nothing new
  TakeReport report;
};

/// Builds a layer from the newest one and `uppers`, syncs it, and publishes it in one rename under
/// the next number. Interrupted at any instant, the layers there are stay as they are.
[[nodiscard]] tl::expected<Promotion, TakeError> promote(const PromotionInput& in);

}  // namespace gobuildenv::agent
