#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "kube/decoded.hpp"

namespace gobuildenv::kube {

/// metadata.ownerReferences[].
struct OwnerReference {
  std::string api_version;
  std::string kind;
  std::string name;
  std::string uid;
  bool controller = false;
};

/// What is common to objects of all kinds, apart from managedFields, which nobody keeps.
struct ObjectHeader {
  ObjectMeta meta;
  std::int64_t generation = 0;
  std::string creation_timestamp;
  std::string deletion_timestamp;  ///< empty: not being deleted
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  std::vector<OwnerReference> owners;
  std::vector<std::string> finalizers;
};

/// Decodes `metadata` of one object's JSON text with simdjson. Fields of another JSON type than the
/// API's are an error that names the field; name and uid may be missing (a review of a pod with
/// generateName has neither).
tl::expected<ObjectHeader, std::string> decode_header(std::string_view json);

/// The identity alone, at a fraction of the cost; `name` must be there.
struct ObjectIdentity {
  ObjectMeta meta;
  bool deleting = false;            ///< has a deletionTimestamp
  bool initial_events_end = false;  ///< annotated k8s.io/initial-events-end=true (bookmarks)
};
tl::expected<ObjectIdentity, std::string> decode_identity(std::string_view json);

}  // namespace gobuildenv::kube
