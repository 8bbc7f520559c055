#include "kube/config_loader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "kube/files.hpp"

namespace gobuildenv::kube {
namespace {

using Bad = tl::unexpected<ConfigError>;

std::string variable(const LoadOptions& options, const char* name) {
  if (options.env) {
    return options.env(name);
  }
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

tl::expected<Kubeconfig, ConfigError> load_file(const std::string& path) {
  auto text = read_small_file(path);
  if (!text) {
    return Bad({path, "", fmt::format("it cannot be read ({})", text.error().message()),
                "correct the path or the file's permissions"});
  }
  return parse_kubeconfig(*text, path);
}

std::vector<std::string> split_list(const std::string& list) {
  std::vector<std::string> out;
  std::size_t at = 0;
  while (at <= list.size()) {
    const std::size_t end = std::min(list.find(':', at), list.size());
    if (end > at) {
      out.push_back(list.substr(at, end - at));
    }
    at = end + 1;
  }
  return out;
}

}  // namespace

tl::expected<ClusterConfig, ConfigError> in_cluster_config(const LoadOptions& options) {
  const std::string host = variable(options, "KUBERNETES_SERVICE_HOST");
  const std::string port = variable(options, "KUBERNETES_SERVICE_PORT");
  const bool v6 = host.find(':') != std::string::npos;
  auto url = parse_url(fmt::format("https://{}{}{}:{}", v6 ? "[" : "", host, v6 ? "]" : "", port));
  if (!url) {
    return Bad({"in-cluster", "KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT", url.error(),
                "unset them outside a pod, or name a kubeconfig"});
  }
  ClusterConfig out;
  out.origin = "in-cluster";
  out.server = *std::move(url);
  out.ca.file = options.service_account_dir + "/ca.crt";
  out.token_file = options.service_account_dir + "/token";
  for (const auto& needed : {out.ca.file, out.token_file}) {
    if (auto text = read_small_file(needed); !text || text->empty()) {
      return Bad(
          {"in-cluster", needed,
           text ? "it is empty" : fmt::format("it cannot be read ({})", text.error().message()),
           "set automountServiceAccountToken: true on the pod"});
    }
  }
  auto ns = read_small_file(options.service_account_dir + "/namespace");
  if (ns && !ns->empty()) {
    out.ns = ns->substr(0, ns->find_last_not_of(" \n\r\t") + 1);
  }
  return out;
}

tl::expected<ClusterConfig, ConfigError> load_cluster_config(const LoadOptions& options) {
  std::vector<Kubeconfig> files;
  const auto add = [&files](const std::string& path) -> tl::expected<void, ConfigError> {
    auto file = load_file(path);
    if (!file) {
      return Bad(file.error());
    }
    files.push_back(*std::move(file));
    return {};
  };
  const std::string list = variable(options, "KUBECONFIG");
  if (!options.kubeconfig.empty()) {
    if (auto added = add(options.kubeconfig); !added) {
      return Bad(added.error());
    }
  } else if (!list.empty()) {
    for (const auto& path : split_list(list)) {
      if (stamp_of(path) == FileStamp{}) {
        continue;
      }
      if (auto added = add(path); !added) {
        return Bad(added.error());
      }
    }
    if (files.empty()) {
      return Bad({"KUBECONFIG", "", "none of its files exists", "correct or unset the variable"});
    }
  } else if (!variable(options, "KUBERNETES_SERVICE_HOST").empty()) {
    return in_cluster_config(options);
  } else {
    const std::string home = variable(options, "HOME");
    if (auto added = add(home + "/.kube/config"); !added) {
      ConfigError error = added.error();
      if (stamp_of(error.file) == FileStamp{}) {
        error.fix = "name one with --kubeconfig or KUBECONFIG, or run inside a cluster";
      }
      return Bad(std::move(error));
    }
  }
  return resolve_context(merge_kubeconfigs(files), options.context);
}

}  // namespace gobuildenv::kube
