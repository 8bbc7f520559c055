#include "controllers/serving/namespaces.hpp"

#include "goenv/names.hpp"
#include "kube/object_meta.hpp"

namespace gobuildenv::controllers {

const kube::ResourceType kNamespaceType{"", "v1", "namespaces", "Namespace", false};
const kube::ResourceType kCsiDriverType{"storage.k8s.io", "v1", "csidrivers", "CSIDriver", false};

tl::expected<kube::Decoded<NamespaceRecord>, std::string> decode_namespace(std::string_view json) {
  auto header = kube::decode_header(json);
  if (!header) return tl::unexpected(header.error());
  auto record = std::make_shared<NamespaceRecord>();
  const auto label = header->labels.find(std::string(goenv::kInjectionLabel));
  if (label != header->labels.end()) {
    using webhooks::NamespaceInjection;
    if (label->second == "enabled") record->injection = NamespaceInjection::Enabled;
    if (label->second == "enforced") record->injection = NamespaceInjection::Enforced;
    if (label->second == "disabled") record->injection = NamespaceInjection::Disabled;
  }
  return kube::Decoded<NamespaceRecord>{std::move(header->meta), std::move(record)};
}

tl::expected<kube::Decoded<CsiDriverRecord>, std::string> decode_csi_driver(std::string_view json) {
  auto identity = kube::decode_identity(json);
  if (!identity) return tl::unexpected(identity.error());
  auto record = std::make_shared<CsiDriverRecord>();
  record->deleting = identity->deleting;
  return kube::Decoded<CsiDriverRecord>{std::move(identity->meta), std::move(record)};
}

}  // namespace gobuildenv::controllers
