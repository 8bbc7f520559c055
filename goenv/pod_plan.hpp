#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "goenv/spec.hpp"

/// The content of a revision's `pod.json`: everything the admission webhook needs to change a pod,
/// rendered once when the revision is made. The webhook never sees a spec.
namespace gobuildenv::goenv {

/// One environment variable with a literal value.
struct EnvVar {
  std::string name;
  std::string value;
};

/// A variable that the launcher sets.
struct LauncherVar {
  std::string name;
  /// As it stands in a container's env; nullopt in revisions of renderer 1, which did not say.
  std::optional<std::string> value;
};

/// A writable cache directory: an emptyDir or, with the node agent, a CSI volume of `scope`.
struct CacheMount {
  std::string volume;      ///< volume name, e.g. "gobuildenv-modcache"
  std::string mount_path;  ///< e.g. "/var/cache/gobuildenv/mod"
  std::string kind;        ///< "modules", "build" or "work" (GOPATH, always private to the pod)
  CacheScope scope = CacheScope::Pod;
};

/// One file of the revision's ConfigMap mounted by subPath over a path of the image.
struct FileMount {
  std::string key;   ///< key of the ConfigMap: "go", "activate.sh", …
  std::string path;  ///< absolute path in the container
};

struct PodPlan {
  int format = 1;         ///< of this document; a webhook refuses what it does not know
  std::string renderer;   ///< version of the renderer that made it
  std::string toolchain;  ///< resolved, "1.22.3"
  Delivery delivery = Delivery::Volume;
  CgoPolicy cgo = CgoPolicy::Disabled;
  Enforcement enforcement = Enforcement::Prefer;
  Preflight preflight = Preflight::Warn;
  std::vector<EnvVar> env;  ///< in the order in which they are to be added; an empty value
                            ///< is meant: to Go it counts as unset, and it hides the image's
  /// Variables that the launcher sets, for `go` and its children only. A container where the
  /// launcher is mounted does not get them, but one that it declares itself belongs in
  /// GOBUILDENV_KEEP like those of `env`. Elsewhere they are added like those of `env`.
  std::vector<LauncherVar> launcher_env;
  std::string files_path;        ///< where the whole ConfigMap is mounted: "/etc/gobuildenv"
  std::vector<FileMount> files;  ///< launcher and activation hooks, one subPath mount each
  std::vector<CacheMount> caches;
  std::string toolchain_path;      ///< mount of the toolchain volume, empty under Download
  std::string credentials_secret;  ///< mounted read-only at credentials_path when not empty
  std::string credentials_path;
  std::string ca_config_map;  ///< with ca_key, mounted at ca_path when not empty
  std::string ca_key;
  std::string ca_path;
  std::string conda_base_image;      ///< replaces the placeholder image when not empty
  std::vector<std::string> include;  ///< spec.injection.containers
  std::vector<std::string> exclude;
};

/// The canonical JSON text of a plan: keys in fixed order, empty fields left out, no white space.
std::string encode(const PodPlan& plan);

/// Reads what encode() wrote, with unknown keys ignored. Error: a sentence that names the field; a
/// `format` newer than this build's is an error.
tl::expected<PodPlan, std::string> decode_pod_plan(std::string_view json);

}  // namespace gobuildenv::goenv
