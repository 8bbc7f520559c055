#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "operator/exit_code.hpp"

namespace gobuildenv::cli {

/// The flags of `gobuildenv manager`, as given; defaults are those of the chart.
struct ManagerFlags {
  std::string kubeconfig;
  std::string context;
  std::string watch_namespace;  ///< empty: all
  std::string own_namespace;    ///< of Lease and Secret; empty: $POD_NAMESPACE, else the context's
  std::vector<std::string> exclude_namespaces;  ///< beside kube-system and the own one
  bool leader_elect = true;
  int workers = 4;

  std::string webhook_address;
  std::uint16_t webhook_port = 9443;
  unsigned webhook_threads = 2;
  std::string tls_min_version = "1.2";
  std::string cert_dir;  ///< tls.crt and tls.key; empty: self-managed in a Secret
  bool cert_external = false;
  std::string cert_secret = "gobuildenv-webhook-cert";
  std::string webhook_service = "gobuildenv-webhook";
  std::string webhook_config = "gobuildenv";
  int cert_settle_seconds = 120;  ///< between the steps of a CA's rotation
  int drain_seconds = 12;

  std::string metrics_bind = ":8080";  ///< HOST:PORT, :PORT or "off"
  std::string health_bind = ":8081";

  std::string module_proxy;  ///< GOPROXY form
  std::string module_proxy_ca;
  std::string sum_db;

  std::string log_format = "text";
  std::string log_level = "info";
};

/// Namespaces whose pods are left alone: kube-system, `own`, where the webhook itself has to start,
/// and those of the flags; each once.
std::vector<std::string> excluded_namespaces(const ManagerFlags& flags, const std::string& own);

/// Runs the manager until it is told to stop or loses its lease.
ExitCode run_manager(const ManagerFlags& flags);

}  // namespace gobuildenv::cli
