#include "operator/cluster.hpp"

#include <utility>

#include "kube/config_loader.hpp"

namespace gobuildenv::cli {

tl::expected<Cluster, std::string> open_cluster(const std::string& kubeconfig,
                                                const std::string& context, kube::Clock& clock) {
  kube::LoadOptions load;
  load.kubeconfig = kubeconfig;
  load.context = context;
  const auto config = kube::load_cluster_config(load);
  if (!config) return tl::unexpected(config.error().text());
  auto parts = kube::make_client_parts(*config, clock);
  if (!parts) return tl::unexpected(parts.error().text());
  return Cluster{*std::move(parts), config->ns};
}

std::unique_ptr<kube::Client> command_client(const Cluster& cluster, kube::Clock& clock) {
  kube::ClientOptions options;
  options.clock = &clock;
  options.random = kube::make_random();
  return kube::make_client(cluster.parts, std::move(options));
}

}  // namespace gobuildenv::cli
