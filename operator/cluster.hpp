#pragma once

#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "kube/client.hpp"
#include "kube/clock.hpp"
#include "kube/make_client.hpp"

namespace gobuildenv::cli {

/// The cluster that --kubeconfig and --context mean.
struct Cluster {
  kube::ClientParts parts;
  std::string ns;  ///< the context's
};

/// Finds it as kubectl does where both are empty; connects to nothing yet. `clock` outlives all
/// clients. The error, for people, says what is wrong with which file.
[[nodiscard]] tl::expected<Cluster, std::string> open_cluster(const std::string& kubeconfig,
                                                              const std::string& context,
                                                              kube::Clock& clock);

/// The client of a command that ends by itself: no fence, no metrics.
[[nodiscard]] std::unique_ptr<kube::Client> command_client(const Cluster& cluster,
                                                           kube::Clock& clock);

}  // namespace gobuildenv::cli
