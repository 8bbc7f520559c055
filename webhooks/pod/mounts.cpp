#include "webhooks/pod/mounts.hpp"

#include <algorithm>

#include "goenv/names.hpp"
#include "webhooks/pod/json_text.hpp"
#include "webhooks/pod/paths.hpp"
#include "webhooks/pod/volumes.hpp"

namespace gobuildenv::webhooks {
namespace {

/// A mount the container has, with its path as the runtime sees it.
struct Existing {
  std::size_t index = 0;
  std::string path;
  const MountEntry* entry = nullptr;
  bool ours = false;
  bool read_only = false;
};

std::vector<Existing> existing_mounts(const PodView& pod, const ContainerView& container) {
  std::vector<Existing> mounts;
  mounts.reserve(container.mounts.size());
  for (std::size_t i = 0; i < container.mounts.size(); ++i) {
    const MountEntry& entry = container.mounts[i];
    if (entry.path.empty()) continue;
    Existing mount{i, {}, &entry, false, entry.read_only};
    mount.path = is_clean_path(entry.path) ? std::string(entry.path) : clean_path(entry.path);
    mount.ours = entry.volume.substr(0, goenv::kVolumePrefix.size()) == goenv::kVolumePrefix;
    for (const VolumeView& volume : pod.volumes) {
      if (volume.name == entry.volume && volume.always_read_only) mount.read_only = true;
    }
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

/// Why `wanted` cannot be had beside the container's own mount, empty when it can. The runtime
/// creates a missing mount point inside what is mounted already, which a read-only volume refuses.
std::string obstacle(const WantedMount& wanted, const Existing& own) {
  if (own.path == wanted.path) return "own mount at " + own.path;
  if (is_below(wanted.path, own.path)) {
    if (wanted.kind == WantedMount::Kind::File) return "under own mount " + own.path;
    if (own.read_only) return wanted.path + " is under the read-only mount " + own.path;
  }
  if (is_below(own.path, wanted.path) && wanted.read_only &&
      wanted.kind != WantedMount::Kind::File) {
    return "own mount " + own.path + " is under " + wanted.path;
  }
  if (is_below(own.path, wanted.path) && wanted.kind == WantedMount::Kind::File) {
    return "own mount " + own.path + " needs a directory here";
  }
  return {};
}

std::string mount_json(const WantedMount& mount) {
  std::string out = "{";
  append_member(out, "name", mount.volume);
  append_member(out, "mountPath", mount.path);
  if (!mount.sub_path.empty()) append_member(out, "subPath", mount.sub_path);
  if (mount.read_only) out += R"(,"readOnly":true)";
  out += '}';
  return out;
}

}  // namespace

std::vector<WantedMount> wanted_mounts(const InjectionInput& input) {
  using Kind = WantedMount::Kind;
  const goenv::PodPlan& plan = input.plan;
  const bool toolchain = mounts_toolchain(input);
  std::vector<WantedMount> mounts;
  mounts.reserve(4 + plan.files.size() + plan.caches.size());
  const auto want = [&mounts](WantedMount mount) {
    if (mount.path == "/") return;
    const bool known =
        std::any_of(mounts.begin(), mounts.end(),
                    [&mount](const WantedMount& other) { return other.path == mount.path; });
    if (known) return;
    // A file within our own mounts would hide the toolchain's go behind a launcher that runs
    // itself, or want a mount point in a read-only volume: the pod would never start.
    const bool within = std::any_of(mounts.begin(), mounts.end(), [&](const WantedMount& other) {
      return other.kind != Kind::File && is_below(mount.path, other.path);
    });
    if (within && mount.kind == Kind::File) return;
    mount.json = mount_json(mount);
    mounts.push_back(std::move(mount));
  };
  want({kFilesVolume, clean_path(plan.files_path), {}, true, Kind::Directory, {}});
  if (toolchain) {
    want({kToolchainVolume, clean_path(plan.toolchain_path), {}, true, Kind::Directory, {}});
  }
  for (const goenv::CacheMount& cache : plan.caches) {
    want({cache.volume, clean_path(cache.mount_path), {}, false, Kind::Cache, {}});
  }
  if (!plan.credentials_secret.empty()) {
    want({kCredentialsVolume, clean_path(plan.credentials_path), {}, true, Kind::Directory, {}});
  }
  if (!plan.ca_config_map.empty()) {
    want({kCaVolume, clean_path(plan.ca_path), {}, true, Kind::Directory, {}});
  }
  for (const goenv::FileMount& file : plan.files) {
    // The launcher runs the mounted toolchain: without one it must not hide the image's own go.
    if (!toolchain && (file.key == "go" || file.key == "gofmt")) continue;
    want({kFilesVolume, clean_path(file.path), file.key, true, Kind::File, {}});
  }
  return mounts;
}

std::string decide_mounts(const PodView& pod, const std::vector<WantedMount>& wanted,
                          ContainerDecision& decision) {
  using Kind = WantedMount::Kind;
  const std::vector<Existing> existing = existing_mounts(pod, *decision.container);
  decision.mounts.reserve(wanted.size());
  for (const WantedMount& want : wanted) {
    MountDecision mount;
    mount.volume = want.volume;
    mount.path = want.path;
    mount.sub_path = want.sub_path;
    mount.json = want.json;
    for (const Existing& own : existing) {
      if (own.ours) {
        if (own.path != want.path) continue;
        const bool same = own.entry->volume == want.volume && own.entry->sub_path == want.sub_path;
        mount.outcome = same ? MountOutcome::Same : MountOutcome::Replaced;
        mount.index = own.index;
        continue;
      }
      std::string reason = obstacle(want, own);
      if (reason.empty()) continue;
      const bool brings_own = want.kind == Kind::Cache && own.path == want.path;
      if (want.kind != Kind::File && !brings_own) return reason;
      mount.outcome = MountOutcome::Skipped;
      mount.reason = std::move(reason);
      break;
    }
    decision.mounts.push_back(std::move(mount));
  }
  return {};
}

std::string describe_skipped(const std::vector<MountDecision>& mounts) {
  std::string text;
  for (const MountDecision& mount : mounts) {
    if (mount.outcome != MountOutcome::Skipped) continue;
    if (!text.empty()) text += "; ";
    text += mount.path;
    text += ": ";
    text += mount.reason;
  }
  return text;
}

}  // namespace gobuildenv::webhooks
