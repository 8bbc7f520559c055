#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "goenv/revision.hpp"
#include "goenv/version.hpp"
#include "operator/documents.hpp"
#include "webhooks/environments.hpp"

namespace gobuildenv::cli {

/// What offline rendering has to be told, because nothing can be asked.
struct OfflineOptions {
  std::string ns = "default";              ///< of objects that name none
  std::vector<goenv::GoVersion> releases;  ///< what ranges ("1.22") resolve to, one for each
  goenv::RenderDefaults defaults;          ///< as the manager's --module-proxy and --sum-db
  bool csi_available = false;              ///< whether the node agent's driver is there
};

/// A GoBuildEnv of the input, rendered as the reconciler would.
struct RenderedEnvironment {
  std::string ns;
  std::string name;
  std::string source;
  std::string toolchain;
  std::string hash;
  std::string config_map_name;
  goenv::Revision revision;
  std::string config_map_json;
  std::string export_json;  ///< the ConfigMap of spec.export, empty when not asked for
  std::vector<std::string> advice;
};

/// Renders the GoBuildEnv in `document`. Error: everything wrong with it, one field error a line,
/// each with the document's place.
tl::expected<RenderedEnvironment, std::string> render_environment(const Document& document,
                                                                  const OfflineOptions& options);

/// Environments and namespaces out of files, for the decisions of admission.
class OfflineEnvironments final : public webhooks::EnvironmentLookup {
 public:
  /// Takes the GoBuildEnvs and Namespaces of `documents`; other kinds are ignored.
  static tl::expected<std::unique_ptr<OfflineEnvironments>, std::string> load(
      const std::vector<Document>& documents, const OfflineOptions& options);

  Answer find(std::string_view ns, std::string_view name) const override;
  Candidates selecting(std::string_view ns, const webhooks::Labels& labels) const override;
  webhooks::NamespaceInjection injection(std::string_view ns) const override;
  webhooks::CsiDriver csi_driver() const override {
    return csi_available_ ? webhooks::CsiDriver::Registered : webhooks::CsiDriver::Absent;
  }

 private:
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const webhooks::ServedEnvironment>,
           std::less<>>
      environments_;
  std::map<std::string, webhooks::NamespaceInjection, std::less<>> namespaces_;
  bool csi_available_ = false;
};

}  // namespace gobuildenv::cli
