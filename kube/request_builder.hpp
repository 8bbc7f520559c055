#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "kube/client.hpp"
#include "kube/http.hpp"

/// From what a caller wants to the HTTP request that says so: pure, sends nothing, sets no
/// deadline. An unusable name or type is an Error of Kind::Invalid before anything is sent.
/// (kubernetes.io/docs/reference/using-api/api-concepts)
namespace gobuildenv::kube {

using Built = tl::expected<HttpRequest, Error>;

/// Content types of PATCH.
inline constexpr const char* kApplyPatch = "application/apply-patch+yaml";
inline constexpr const char* kJsonPatch = "application/json-patch+json";
inline constexpr const char* kMergePatch = "application/merge-patch+json";

/// Who writes, in managedFields, where the call does not name one.
inline constexpr const char* kFieldManager = "gobuildenv";

[[nodiscard]] Built build_get(const ResourceType& type, const ObjectKey& key);
[[nodiscard]] Built build_list(const ResourceType& type, const ListOptions& options);
[[nodiscard]] Built build_watch(const ResourceType& type, const WatchOptions& options);
/// What of the object a write is answered with.
enum class WriteAnswer { Object, Metadata };
[[nodiscard]] Built build_create(const ResourceType& type, const std::string& ns,
                                 std::string_view json, WriteAnswer answer = WriteAnswer::Object);
[[nodiscard]] Built build_update(const ResourceType& type, const ObjectKey& key,
                                 std::string_view json, const std::string& subresource);
[[nodiscard]] Built build_apply(const ResourceType& type, const ObjectKey& key,
                                std::string_view json, const ApplyOptions& options);
[[nodiscard]] Built build_patch(const ResourceType& type, const ObjectKey& key,
                                std::string_view body, const std::string& content_type,
                                const std::string& subresource);
[[nodiscard]] Built build_remove(const ResourceType& type, const ObjectKey& key,
                                 const DeleteOptions& options);

}  // namespace gobuildenv::kube
