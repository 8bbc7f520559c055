#pragma once

#include <string>
#include <string_view>

#include "kube/client.hpp"
#include "kube/decoded.hpp"
#include "webhooks/environments.hpp"

/// What the caches keep of namespaces and of the CSI driver's registration: metadata-only watches.
namespace gobuildenv::controllers {

extern const kube::ResourceType kNamespaceType;
extern const kube::ResourceType kCsiDriverType;

/// A namespace in the cache. The watch selects those with the label gobuildenv.dev/injection.
struct NamespaceRecord {
  webhooks::NamespaceInjection injection = webhooks::NamespaceInjection::Unset;
};

/// The CSIDriver gobuildenv.dev; that it is there is all there is to know.
struct CsiDriverRecord {
  bool deleting = false;
};

tl::expected<kube::Decoded<NamespaceRecord>, std::string> decode_namespace(std::string_view json);
tl::expected<kube::Decoded<CsiDriverRecord>, std::string> decode_csi_driver(std::string_view json);

}  // namespace gobuildenv::controllers
