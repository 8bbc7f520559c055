#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controllers/gobuildenv/uid.hpp"
#include "goenv/spec.hpp"
#include "kube/client.hpp"
#include "kube/decoded.hpp"

/// What the caches keep of each kind: packed, because 10,000 environments and 100,000 pods are
/// kept.
namespace gobuildenv::controllers {

/// Labels of ConfigMaps this operator makes; the informer selects by the first.
inline constexpr std::string_view kManagedByLabel = "app.kubernetes.io/managed-by";
inline constexpr std::string_view kManagedBy = "gobuildenv";
/// On an exported ConfigMap: content_hash() of the data it was written with.
inline constexpr std::string_view kContentAnnotation = "gobuildenv.dev/content";

extern const kube::ResourceType kGoBuildEnvType;
extern const kube::ResourceType kConfigMapType;
extern const kube::ResourceType kPodType;

struct NodesTold;

/// An environment that selects pods by itself; few do.
struct SelectingEnvironment {
  std::string name;
  goenv::PodSelector selector;
};

/// Status of the condition Ready, whatever generation it is of.
enum class Readiness : std::uint8_t { Unknown, True, False };

/// A GoBuildEnv in the cache.
struct EnvironmentRecord {
  std::int64_t generation = 0;
  std::int32_t history_limit = 3;
  bool deleting = false;
  bool mounted = true;  ///< spec.toolchain.delivery is Volume
  Readiness ready = Readiness::Unknown;
  std::string current;  ///< status.revisions.current; ten bytes need no memory of their own
  std::string status;   ///< pack_status()
  /// Never null; one for all that tell the same, which most do.
  std::shared_ptr<const NodesTold> nodes;

  /// What most environments have nothing of.
  struct Rare {
    std::string resolve;  ///< annotation gobuildenv.dev/resolve
    /// JSON text of `spec`, kept only while Ready is not True for this generation: a settled
    /// environment is not rendered again, and the rare repair reads the object anew.
    std::string spec;
    std::string export_name;        ///< spec.export.configMapName
    std::vector<std::string> sums;  ///< of spec.toolchain.sums
    /// Set when spec.injection.podSelector is.
    std::shared_ptr<const SelectingEnvironment> selecting;
  };
  std::unique_ptr<const Rare> rare_or_null;
  [[nodiscard]] const Rare& rare() const;
};

/// A ConfigMap of ours in the cache: a revision, or an export for envFrom. Of its metadata only:
/// the data of 10,000 revisions is 150 MB to list, and nobody can change that of an immutable one.
struct ConfigMapRecord {
  Uid owner;  ///< of the GoBuildEnv that controls it
  /// Label gobuildenv.dev/env, hashed: an export's name does not tell it.
  std::uint64_t environment = 0;
  std::int64_t created = 0;  ///< seconds of the Unix epoch
  std::string hash;          ///< revision: from the name; export: of the data it was written with
  bool managed = false;      ///< label app.kubernetes.io/managed-by is ours: the cache can see it
  bool is_export = false;
  bool deleting = false;

  /// What most revisions have nothing of.
  struct Rare {
    std::string salt;
    std::string export_name;  ///< of an export; a revision's name follows from its hash
    std::string revision;     ///< export: the revision it was made from
    /// The label's text, where the name does not begin with it.
    std::string environment;
  };
  std::unique_ptr<const Rare> rare_or_null;
  [[nodiscard]] const Rare& rare() const;
};

/// A ConfigMap with its data, as a GET gives it.
struct ConfigMapContent {
  kube::ObjectMeta meta;
  std::shared_ptr<const ConfigMapRecord> record;
  bool intact = false;   ///< the data has the hash, and a revision is immutable
  std::string pod_json;  ///< of an intact revision
};

/// ConfigMapRecord::environment for an environment's name.
std::uint64_t environment_hash(std::string_view name);

/// Environments that may have to do with a ConfigMap: the one its label names, and the one after
/// which it is named.
std::vector<std::string> environments_of(const kube::ObjectKey& key, const ConfigMapRecord& record);

/// A pod that asked for an environment (label gobuildenv.dev/env), or that an environment chose by
/// its podSelector (annotation gobuildenv.dev/environment).
struct PodRecord {
  /// Asked for, or chosen by. Never null; empty where somebody wrote the revision's label by hand.
  std::shared_ptr<const std::string> environment;
  std::shared_ptr<const std::string> revision;  ///< got; null: admission left the pod alone
  std::int64_t created = 0;
  /// Left as it was on purpose: recorded so, a Windows or mirror pod, a CI system's own.
  bool answered = false;
  bool pending = false;   ///< phase Pending: its volumes may not be mounted yet
  bool finished = false;  ///< Succeeded or Failed: it uses nothing any more
};

/// Decoders for the informers. Error: what is malformed, with the object's name where known.
tl::expected<kube::Decoded<EnvironmentRecord>, std::string> decode_environment(
    std::string_view json);
/// Of a whole ConfigMap as well as of its PartialObjectMetadata.
tl::expected<kube::Decoded<ConfigMapRecord>, std::string> decode_config_map(std::string_view json);
tl::expected<kube::Decoded<PodRecord>, std::string> decode_pod(std::string_view json);

/// Reads a whole ConfigMap and verifies its data.
tl::expected<ConfigMapContent, std::string> read_config_map(std::string_view json);

/// A ConfigMap as JSON for a create: labelled, owned, immutable unless it is an export.
struct ConfigMapBody {
  kube::ObjectKey key;
  std::string environment;
  std::string owner_uid;
  bool immutable = true;
  std::map<std::string, std::string> annotations;
  std::string resource_version;  ///< precondition of an update; empty for a create
};
std::string encode_config_map(const ConfigMapBody& body,
                              const std::map<std::string, std::string>& data);

}  // namespace gobuildenv::controllers
