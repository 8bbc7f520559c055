#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "goenv/spec.hpp"
#include "webhooks/made_once.hpp"

/// What the pod webhook asks of the world. `webhooks` knows no client: the manager implements this
/// over snapshots of its caches, the offline commands over files.
namespace gobuildenv::webhooks {

class PreparedRevision;

/// An environment as it is served now: by its revision's ConfigMap, not by its spec. Filled in
/// once, then shared and unchanged.
struct ServedEnvironment {
  ServedEnvironment();
  ~ServedEnvironment();

  std::string ns;
  std::string name;
  std::string revision;                         ///< ten hex digits
  std::string config_map;                       ///< "<name>-<revision>"
  std::shared_ptr<const std::string> pod_json;  ///< the revision's pod.json
  std::optional<goenv::PodSelector> pod_selector;

  /// What admission makes of pod_json, which must be there; made at the first call and kept. A
  /// lookup that gives the same object for the same revision saves every review that work.
  const PreparedRevision& prepared() const;

 private:
  MadeOnce<PreparedRevision> prepared_;
};

/// The namespace's label gobuildenv.dev/injection. Unknown: it cannot be read at the moment.
enum class NamespaceInjection { Unset, Enabled, Enforced, Disabled, Unknown };

/// The CSI driver gobuildenv.dev in the cluster: without it caches are emptyDirs and
/// `delivery: Volume` cannot be served. Unknown: it cannot be read at the moment.
enum class CsiDriver { Absent, Registered, Unknown };

using Labels = std::map<std::string, std::string, std::less<>>;

/// Thread-safe, does not block on the network longer than the review's deadline allows.
class EnvironmentLookup {
 public:
  virtual ~EnvironmentLookup() = default;
  EnvironmentLookup() = default;
  EnvironmentLookup(const EnvironmentLookup&) = delete;
  EnvironmentLookup& operator=(const EnvironmentLookup&) = delete;

  enum class Found { Yes, No, NotServed, Unknown };
  struct Answer {
    Found found = Found::Unknown;  ///< NotServed: it exists but has no served revision yet;
                                   ///< Unknown: the caches are not synced and a live read failed
    std::shared_ptr<const ServedEnvironment> environment;
  };
  /// The environment `name` of namespace `ns`.
  virtual Answer find(std::string_view ns, std::string_view name) const = 0;
  /// What the podSelectors of a namespace make of a pod's labels; at most a few match. Environments
  /// without a served revision do not take part.
  struct Candidates {
    /// Those that match, sorted by name; each has a pod_json.
    std::vector<std::shared_ptr<const ServedEnvironment>> environments;
    /// Names of those that match and cannot be read at the moment, sorted.
    std::vector<std::string> unknown;
    /// False: the namespace's environments are not all known yet, there may be more.
    bool complete = true;
  };
  /// The environments of `ns` whose podSelector matches `labels`.
  virtual Candidates selecting(std::string_view ns, const Labels& labels) const = 0;
  virtual NamespaceInjection injection(std::string_view ns) const = 0;
  virtual CsiDriver csi_driver() const = 0;
};

}  // namespace gobuildenv::webhooks
