#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "kube/config_error.hpp"
#include "kube/http.hpp"
#include "kube/kubeconfig.hpp"

/// Credential plugins (client.authentication.k8s.io/v1 and v1beta1).
namespace gobuildenv::kube {

/// What a plugin gave. At least the token, or certificate and key, is set.
struct ExecCredential {
  std::string token;
  std::string certificate;  ///< PEM
  std::string key;          ///< PEM
  std::optional<std::chrono::system_clock::time_point> expires;
};

/// Parses a plugin's output; the error is a sentence without any of it.
[[nodiscard]] tl::expected<ExecCredential, std::string> parse_exec_credential(
    std::string_view json, const std::string& api_version);

/// The value of KUBERNETES_EXEC_INFO for this plugin. `ca` is PEM, told when the plugin asks.
[[nodiscard]] std::string exec_info(const ExecConfig& exec, const ClusterConfig& cluster,
                                    const std::string& ca);

/// Runs the plugin of `cluster.exec` once; it is killed at `deadline`.
[[nodiscard]] tl::expected<ExecCredential, ConfigError> run_exec_plugin(
    const ClusterConfig& cluster, const std::string& ca, Deadline deadline);

}  // namespace gobuildenv::kube
