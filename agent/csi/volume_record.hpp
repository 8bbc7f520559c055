#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "agent/csi/volume_spec.hpp"

/// What the agent remembers of a published volume: `<root>/volumes/<volume id>.json`, written
/// before anything is mounted and removed after everything is gone. While there is a record, what
/// it mounts is in use: counts are exact whenever the agent is killed.
namespace gobuildenv::agent {

struct VolumeRecord {
  std::string volume_id;
  VolumeKind kind = VolumeKind::Toolchain;
  PodIdentity pod;
  std::string environment;
  std::string revision;
  std::string toolchain;  ///< "1.22.3"; may be empty for caches
  std::string target;     ///< as in VolumeSpec
  /// What is mounted there, below the root: "toolchains/<name>/<key>/goroot", or a part of
  /// "pods/<volume id>/".
  std::string source;
  /// Of a cache that is shared, as in CacheAnswer; and the layer of it that is mounted below
  /// `source`: "<cache>/lower/<number>", empty when there was none yet.
  std::string cache;
  std::string lower;
  /// Further toolchains, mounted inside this one for `switching: AllowNewer`; each as `source`.
  std::vector<std::string> newer;
  std::string unavailable;        ///< the reason, where the volume is empty with a marker
  std::int64_t published_at = 0;  ///< seconds since 1970
  /// Of the boot of the node in which its parts were made: what a pod writes is never synced.
  std::string boot_id;
  friend bool operator==(const VolumeRecord&, const VolumeRecord&) = default;

  /// The unit of the collector that this volume is of: "toolchains/<name>/<key>" or the layer, or
  /// empty for what is private to the pod.
  [[nodiscard]] std::string unit() const;

  /// Every unit that it keeps in use, each once.
  [[nodiscard]] std::vector<std::string> units() const;
};

/// unit() of a source.
[[nodiscard]] std::string unit_of(std::string_view source);

/// Records as JSON text. Decoding checks everything that paths are made of; the error says what is
/// wrong.
[[nodiscard]] std::string encode(const VolumeRecord& record);
[[nodiscard]] tl::expected<VolumeRecord, std::string> decode_volume_record(std::string_view json);

/// How many volumes use each unit.
[[nodiscard]] std::map<std::string, std::size_t> count_uses(std::span<const VolumeRecord> records);

/// "toolchains/go1.25.3.linux-amd64/<key>/goroot" → "go1.25.3"; empty for anything else. Where a
/// newer toolchain is mounted: kNewerFolder and this, below the declared one.
[[nodiscard]] std::string newer_name(std::string_view source);

/// goenv/scripts/README.md: where the launcher looks for them.
inline constexpr std::string_view kNewerFolder = ".newer";

/// Whether `path` has the shape of CacheAnswer::cache.
[[nodiscard]] bool is_cache(std::string_view path);

/// "caches/<namespace uid>/<owner>/<kind>/lower/<number>" → the cache it is a layer of; empty for
/// anything else.
[[nodiscard]] std::string cache_of_lower(std::string_view lower);

/// Whether `path` is relative, without empty parts, "." and "..": safe to open below a folder.
[[nodiscard]] bool is_plain_relative(std::string_view path);

}  // namespace gobuildenv::agent
