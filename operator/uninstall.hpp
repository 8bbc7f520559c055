#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "kube/client.hpp"
#include "kube/clock.hpp"

/// What has to be so before the operator is taken out of a cluster. A pod that holds a volume of
/// the node agent can run on without it, but not end: only the agent can tell the kubelet that the
/// volume is gone. And while a webhook is registered whose Service is gone, pods wait for it, or
/// are refused where the namespace enforces its environment.
namespace gobuildenv::cli {

/// A pod that is not over and has a volume of the node agent's driver.
struct VolumeHolder {
  std::string pod;   ///< "namespace/name"
  std::string node;  ///< empty: not scheduled yet
  bool ending = false;
  friend bool operator==(const VolumeHolder&, const VolumeHolder&) = default;
};

/// Of one pod's JSON; nullopt when it holds none (any more). A pod that is over still counts while
/// it is being deleted: the API server keeps it until the kubelet has taken its volumes down.
/// Error: the text is no pod.
[[nodiscard]] tl::expected<std::optional<VolumeHolder>, std::string> read_volume_holder(
    std::string_view pod);

struct UninstallOptions {
  bool only_check = false;  ///< look once, change nothing
  std::string webhook_config = "gobuildenv";
  std::chrono::seconds wait{0};  ///< for pods to end
  /// Without a holder for so long: reviews that were under way have ended, and kubelets have taken
  /// down the volumes of pods that had just ended.
  std::chrono::seconds settle{10};
  std::chrono::seconds poll{2};
  std::chrono::seconds request_timeout{30};
};

/// Takes the webhook configurations away, unless only checking, then looks until no pod has held a
/// volume for `settle`, or some still does after `wait`. Gives those that still do. `waiting` is
/// called with the holders whenever their number has changed.
[[nodiscard]] tl::expected<std::vector<VolumeHolder>, kube::Error> prepare_uninstall(
    kube::Client& client, kube::Clock& clock, const UninstallOptions& options,
    const std::function<void(const std::vector<VolumeHolder>&)>& waiting);

/// For people: who holds volumes (the first few) and what to do; one line when nobody does.
[[nodiscard]] std::string uninstall_text(const std::vector<VolumeHolder>& holders,
                                         const UninstallOptions& options);

}  // namespace gobuildenv::cli
