#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "controllers/gobuildenv/decide.hpp"
#include "controllers/gobuildenv/records.hpp"
#include "kube/client.hpp"
#include "kube/controller.hpp"
#include "kube/work_queue.hpp"

namespace gobuildenv::controllers {

/// How a ConfigMap relates to the GoBuildEnv with `environment_uid`, as a fact for decide().
/// Whether it is intact is not known from its metadata.
ConfigMapFact fact_of(const kube::ObjectMeta& meta, const ConfigMapRecord& record,
                      const std::string& environment_uid);
ConfigMapFact fact_of(const ConfigMapContent& content, const std::string& environment_uid);

/// Finds out which ConfigMaps hold what they were made with. The status vouches for a revision by
/// its uid: an immutable ConfigMap's data never changes, so only one made by somebody else under
/// the same name has to be read. An export can be edited and is read once for each of its versions.
/// Thread-safe for different environments.
class ContentReader {
 public:
  /// `client` outlives it.
  explicit ContentReader(kube::Client& client) : client_(client) {}

  /// Sets `intact` of the facts that are ours, and pod_json of the served revision where it is to
  /// be exported. What turns out to be gone is taken out. Gives the failure of a read.
  std::optional<kube::Error> verify(const kube::ObjectKey& environment, EnvironmentFacts& facts,
                                    kube::Deadline deadline);
  /// The environment is gone.
  void forget(const kube::ObjectKey& environment);

 private:
  /// Of one ConfigMap at one uid and, as an export can be edited, one version.
  struct Read {
    std::string uid;
    std::string resource_version;
    bool intact = false;
    std::string pod_json;
  };
  using Reads = std::map<std::string, Read>;  ///< by name

  std::optional<kube::Error> verify_one(const std::string& ns, EnvironmentFacts& facts,
                                        ConfigMapFact& fact, Reads& reads, kube::Deadline deadline);

  kube::Client& client_;
  std::mutex mutex_;
  /// Only of environments of which something had to be read.
  std::unordered_map<kube::ObjectKey, Reads, kube::ObjectKeyHash> reads_;
};

}  // namespace gobuildenv::controllers
