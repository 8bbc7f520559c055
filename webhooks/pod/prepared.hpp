#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "goenv/pod_plan.hpp"
#include "webhooks/environments.hpp"
#include "webhooks/made_once.hpp"
#include "webhooks/pod/changes.hpp"
#include "webhooks/pod/mounts.hpp"

/// What of an environment is the same for every pod: the decoded plan and the JSON text of all that
/// it can add. Made once for a served revision, so that a review only picks and concatenates.
namespace gobuildenv::webhooks {

/// A volume of the environment as JSON.
struct WantedVolume {
  std::string_view name;
  std::string json;
  std::string json_with_fs_group;      ///< for a pod with an fsGroup; empty: the same
  std::string json_in_user_namespace;  ///< for a pod with hostUsers false; empty: the same
};

/// Everything that can be injected, with or without the CSI driver. Views point into the plan.
struct PreparedPlan {
  explicit PreparedPlan(const InjectionInput& input);

  InjectionInput input;
  std::vector<std::string> env;           ///< entries of plan.env, `{"name":…,"value":…}`
  std::vector<std::string> launcher_env;  ///< of plan.launcher_env; empty where it has no value
  std::vector<WantedMount> mounts;        ///< no two at one path
  std::vector<WantedVolume> volumes;      ///< behind the mounts, each once
};

/// A served revision, made ready. Neither copied nor moved: it points into itself and into the
/// ServedEnvironment that it belongs to.
class PreparedRevision {
 public:
  explicit PreparedRevision(const ServedEnvironment& environment);
  PreparedRevision(const PreparedRevision&) = delete;
  PreparedRevision& operator=(const PreparedRevision&) = delete;
  ~PreparedRevision() = default;

  /// Why pod.json cannot be used by this build; empty: it can.
  const std::string& error() const { return error_; }
  const goenv::PodPlan& plan() const { return plan_; }
  /// Only without an error.
  const PreparedPlan& with_csi(bool available) const;

 private:
  std::string error_;
  goenv::PodPlan plan_;
  const ServedEnvironment& environment_;
  /// Made when asked for: a cluster has the driver or has it not.
  std::array<MadeOnce<PreparedPlan>, 2> prepared_;
};

/// Appends an entry of a container's env.
void append_env_entry(std::string& out, std::string_view name, std::string_view value);

}  // namespace gobuildenv::webhooks
