#pragma once

#include <functional>
#include <string>
#include <tl/expected.hpp>

#include "kube/config_error.hpp"
#include "kube/kubeconfig.hpp"

namespace gobuildenv::kube {

/// Where the way to the API server is looked for.
struct LoadOptions {
  std::string kubeconfig;  ///< --kubeconfig: exactly this file
  std::string context;     ///< --context: instead of current-context
  /// Environment; std::getenv when empty. Gives "" for what is not set.
  std::function<std::string(const char* name)> env;
  std::string service_account_dir = "/var/run/secrets/kubernetes.io/serviceaccount";
};

/// In this order, as controller-runtime: --kubeconfig, $KUBECONFIG (a list joined by ':', files
/// that do not exist are skipped), in-cluster when $KUBERNETES_SERVICE_HOST is set,
/// $HOME/.kube/config.
[[nodiscard]] tl::expected<ClusterConfig, ConfigError> load_cluster_config(
    const LoadOptions& options);

/// From $KUBERNETES_SERVICE_HOST and _PORT and the files token, ca.crt and namespace.
[[nodiscard]] tl::expected<ClusterConfig, ConfigError> in_cluster_config(
    const LoadOptions& options);

}  // namespace gobuildenv::kube
