#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// The declared build environment as domain types: what `spec` of a GoBuildEnv means, free of JSON
/// and Kubernetes. `crds/` maps the wire form to it. Field defaults are the API's constant
/// defaults.
namespace gobuildenv::goenv {

/// How the toolchain reaches the pod: mounted by the node agent, or downloaded by the image's own
/// go.
enum class Delivery { Volume, Download };
/// Whether go.mod may ask for a newer toolchain than the declared one.
enum class Switching { Pinned, AllowNewer };
enum class CgoPolicy { Disabled, Enabled, Auto };
/// When the next proxy of the list is tried: on 404/410 (`,`) or on any error (`|`).
enum class ProxyFallback { NotFound, AnyError };
enum class Activation { Hook, None };
enum class GoWorkMode { Auto, Off, Path };
/// Who shares a cache: one pod, all pods of the environment, all pods of the namespace.
enum class CacheScope { Pod, Environment, Namespace };
/// Who wins when a container itself declares a variable: it (Prefer) or the environment (Enforce).
enum class Enforcement { Prefer, Enforce };
enum class Preflight { Off, Warn, Require };

/// The checksum (`h1:…`) of one platform's toolchain, pinned by the owner.
struct ToolchainSum {
  std::string os;
  std::string arch;
  std::string sum;
  friend auto operator<=>(const ToolchainSum&, const ToolchainSum&) = default;
};

struct Toolchain {
  std::string version;  ///< "1.22.3", or "1.22" for its newest patch
  Delivery delivery = Delivery::Volume;
  Switching switching = Switching::Pinned;
  std::vector<ToolchainSum> sums;
};

struct Cgo {
  CgoPolicy policy = CgoPolicy::Disabled;
  std::string cc;
  std::string cxx;
  std::vector<std::string> cflags;
  std::vector<std::string> cxxflags;
  std::vector<std::string> ldflags;
  std::string pkg_config_path;
};

struct Platform {
  std::string os;
  std::string arch;
};

struct Proxy {
  std::string url;  ///< https://…, http://…, file:///…, "direct" or "off"
  ProxyFallback fallback = ProxyFallback::NotFound;
};

struct ConfigMapKeyRef {
  std::string name;
  std::string key;
};

struct Modules {
  std::vector<Proxy> proxies;
  std::vector<std::string> private_patterns;
  std::vector<std::string> go_no_proxy;
  std::vector<std::string> no_sum_db;
  std::string sum_db;              ///< empty: Go's own default; "off"
  std::string credentials_secret;  ///< name of a Secret with key `netrc`, in the pod's namespace
  std::optional<ConfigMapKeyRef> ca_bundle;
  std::string http_proxy;
  std::string https_proxy;
  std::string no_proxy;
};

struct Conda {
  std::string base_image;
  std::string prefix = "/opt/conda";
  std::string environment;          ///< name below <prefix>/envs, or empty for base
  bool environment_exists = false;  ///< the image is known to hold `environment`
  Activation activation = Activation::Hook;
};

struct GoWork {
  GoWorkMode mode = GoWorkMode::Auto;
  std::string path;
};

struct Workspace {
  std::string go_path;  ///< empty: below the pod's cache directory
  std::string go_bin;   ///< empty: GOBIN is not set
  GoWork go_work;
};

struct Cache {
  CacheScope modules = CacheScope::Pod;
  CacheScope build = CacheScope::Pod;
  std::vector<std::string> trusted_service_accounts;
  std::chrono::seconds unused_for{std::chrono::hours{168}};
  std::int64_t max_size_bytes = std::int64_t{20} << 30;
};

/// A Kubernetes label selector expression: operator is In, NotIn, Exists or DoesNotExist.
struct SelectorRequirement {
  std::string key;
  std::string op;
  std::vector<std::string> values;
};

struct PodSelector {
  std::map<std::string, std::string> match_labels;
  std::vector<SelectorRequirement> match_expressions;
};

struct Injection {
  std::optional<PodSelector> pod_selector;
  std::vector<std::string> include;  ///< container names or globs with `*`
  std::vector<std::string> exclude;
  Enforcement enforcement = Enforcement::Prefer;
  Preflight preflight = Preflight::Warn;
  std::optional<std::vector<std::string>> launcher_paths;  ///< replaces the default list when set
};

/// All of `spec`.
struct Spec {
  Toolchain toolchain;
  Cgo cgo;
  std::vector<std::string> flags;  ///< GOFLAGS, one flag an item, unquoted
  std::vector<Platform> platforms;
  Modules modules;
  Conda conda;
  Workspace workspace;
  Cache cache;
  std::map<std::string, std::string> variables;
  Injection injection;
  std::string export_config_map;
  std::int32_t revision_history_limit = 3;
};

}  // namespace gobuildenv::goenv
