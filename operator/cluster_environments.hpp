#pragma once

#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "kube/client.hpp"
#include "webhooks/environments.hpp"

namespace gobuildenv::cli {

/// Environments of a cluster, read live: for `explain`, which asks once.
class ClusterEnvironments final : public webhooks::EnvironmentLookup {
 public:
  /// `client` outlives it. Every request ends by `deadline`.
  ClusterEnvironments(kube::Client& client, kube::Deadline deadline);

  /// The environment `name` is from now on answered with revision `revision`: a pod is bound to
  /// the one that served when it was admitted.
  void bind(std::string name, std::string revision);

  Answer find(std::string_view ns, std::string_view name) const override;
  Candidates selecting(std::string_view ns, const webhooks::Labels& labels) const override;
  webhooks::NamespaceInjection injection(std::string_view ns) const override;
  webhooks::CsiDriver csi_driver() const override;

  /// The first request that failed otherwise than with "not found"; empty: none.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  Answer serve(std::string_view ns, std::string_view name, const std::string& object) const;
  Answer failed(const kube::Error& error, std::string_view what) const;

  kube::Client& client_;
  const kube::Deadline deadline_;
  std::string bound_name_;
  std::string bound_revision_;
  mutable std::string trouble_;
};

}  // namespace gobuildenv::cli
