#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "kube/config_error.hpp"
#include "kube/http_proxy.hpp"
#include "kube/url.hpp"

/// kubeconfig files (k8s.io/client-go/tools/clientcmd/api/v1), pure: text in, values out. Reading
/// files and the environment is config_loader.hpp's.
namespace gobuildenv::kube {

/// A PEM given inline or by file; inline wins.
struct PemSource {
  std::string data;  ///< decoded from base64
  std::string file;  ///< absolute, or relative to the current folder if its kubeconfig's path is
  [[nodiscard]] bool empty() const { return data.empty() && file.empty(); }
};

/// users[].user.exec: a program that prints an ExecCredential.
struct ExecConfig {
  std::string api_version;  ///< client.authentication.k8s.io/v1 or …/v1beta1
  std::string command;      ///< with a slash and relative: against the kubeconfig's folder
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::string>> env;  ///< added to our own environment
  std::string install_hint;
  bool provide_cluster_info = false;
};

struct ClusterEntry {
  std::string file;
  std::string server;
  std::string tls_server_name;
  bool insecure = false;
  PemSource ca;
  std::string proxy_url;
};

struct UserEntry {
  std::string file;
  std::string token;
  std::string token_file;
  PemSource certificate;
  PemSource key;
  std::string username;
  std::string password;
  std::string impersonate;
  std::string impersonate_uid;
  std::vector<std::string> impersonate_groups;
  std::map<std::string, std::vector<std::string>> impersonate_extra;
  std::optional<ExecConfig> exec;
};

struct ContextEntry {
  std::string file;
  std::string cluster;
  std::string user;
  std::string ns;
};

/// One file, or several merged.
struct Kubeconfig {
  std::string current_context;
  std::map<std::string, ClusterEntry> clusters;
  std::map<std::string, UserEntry> users;
  std::map<std::string, ContextEntry> contexts;
};

/// Everything needed to reach one API server as one user.
struct ClusterConfig {
  std::string origin;  ///< kubeconfig file of the user, or "in-cluster": for messages
  Url server;
  std::string server_name;
  bool insecure = false;
  std::optional<Tunnel> proxy;  ///< on the way to the server
  PemSource ca;                 ///< empty with https: the system's store
  PemSource certificate;
  PemSource key;
  std::string token;
  std::string token_file;  ///< wins over token while it can be read
  std::string username;
  std::string password;
  std::string impersonate;
  std::string impersonate_uid;
  std::vector<std::string> impersonate_groups;
  std::map<std::string, std::vector<std::string>> impersonate_extra;
  std::optional<ExecConfig> exec;
  std::string ns = "default";  ///< the context's namespace
};

/// Parses YAML or JSON. `file` names it in errors, and its folder is what relative paths are
/// relative to. Fields unknown here are left alone, as kubectl does.
[[nodiscard]] tl::expected<Kubeconfig, ConfigError> parse_kubeconfig(std::string_view text,
                                                                     const std::string& file);

/// kubectl's rule: the first file that sets a value or names an entry wins, whole entries at once.
[[nodiscard]] Kubeconfig merge_kubeconfigs(const std::vector<Kubeconfig>& files);

/// Picks `context`, or the current one when empty, and checks that it can be used.
[[nodiscard]] tl::expected<ClusterConfig, ConfigError> resolve_context(const Kubeconfig& config,
                                                                       const std::string& context);

}  // namespace gobuildenv::kube
