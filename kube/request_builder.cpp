#include "kube/request_builder.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "kube/url.hpp"

namespace gobuildenv::kube {
namespace {

constexpr const char* kJson = "application/json";
constexpr const char* kMetadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
constexpr const char* kMetadataList =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

tl::unexpected<Error> invalid(std::string message) {
  Error error;
  error.kind = Error::Kind::Invalid;
  error.message = std::move(message);
  return tl::unexpected(std::move(error));
}

/// A name goes into the path as one segment; "..", "a/b" or "a%2fb" would name something else.
bool is_segment(std::string_view text) {
  return !text.empty() && text != "." && text != ".." &&
         text.find_first_of("/%") == std::string_view::npos;
}

/// The path of a collection, or of an object when `name` is given.
tl::expected<std::string, Error> path_of(const ResourceType& type, const std::string& ns,
                                         const std::string* name,
                                         const std::string& subresource = "") {
  if (!is_segment(type.version) || !is_segment(type.plural) ||
      (!type.group.empty() && !is_segment(type.group))) {
    return invalid(
        fmt::format("resource type group={} version={} plural={} is not usable; "
                    "correct it in the code",
                    type.group, type.version, type.plural));
  }
  std::string path = type.group.empty() ? fmt::format("/api/{}", percent_encode(type.version))
                                        : fmt::format("/apis/{}/{}", percent_encode(type.group),
                                                      percent_encode(type.version));
  if (!ns.empty()) {
    if (!type.namespaced) {
      return invalid(
          fmt::format("{} are cluster-scoped, but a namespace was given: {}", type.plural, ns));
    }
    if (!is_segment(ns)) {
      return invalid(fmt::format("namespace={} is not a namespace's name", ns));
    }
    path += "/namespaces/" + percent_encode(ns);
  } else if (type.namespaced && name != nullptr) {
    return invalid(fmt::format("{} are namespaced; give the namespace", type.plural));
  }
  path += "/" + percent_encode(type.plural);
  if (name != nullptr) {
    if (!is_segment(*name)) {
      return invalid(fmt::format("name={} is not an object's name", *name));
    }
    path += "/" + percent_encode(*name);
  }
  if (!subresource.empty()) {
    if (!is_segment(subresource)) {
      return invalid(fmt::format("subresource={} is not usable", subresource));
    }
    path += "/" + percent_encode(subresource);
  }
  return path;
}

/// Query parameters in the order added; empty values are left out.
class Query {
 public:
  Query& add(std::string_view name, std::string_view value) {
    if (!value.empty()) {
      text_.append(text_.empty() ? "?" : "&").append(name).append("=");
      text_ += percent_encode(value);
    }
    return *this;
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

Query write_query(std::string_view manager = kFieldManager) {
  Query query;
  query.add("fieldManager", manager).add("fieldValidation", "Strict");
  return query;
}

HttpRequest read_request(std::string target, const char* accept) {
  HttpRequest request;
  request.target = std::move(target);
  request.headers = {{"Accept", accept}};
  return request;
}

HttpRequest write_request(Method method, std::string target, std::string_view body,
                          const std::string& content_type) {
  HttpRequest request;
  request.method = method;
  request.target = std::move(target);
  request.headers = {{"Accept", kJson}, {"Content-Type", content_type}};
  request.body = body;
  return request;
}

}  // namespace

std::string ResourceType::api_version() const {
  return group.empty() ? version : group + "/" + version;
}

Built build_get(const ResourceType& type, const ObjectKey& key) {
  return path_of(type, key.ns, &key.name).map([](std::string path) {
    return read_request(std::move(path), kJson);
  });
}

Built build_list(const ResourceType& type, const ListOptions& options) {
  Query query;
  query.add("labelSelector", options.label_selector)
      .add("fieldSelector", options.field_selector)
      .add("limit", options.limit > 0 ? std::to_string(options.limit) : "")
      .add("continue", options.continue_token);
  // A continue token carries its own version; the server refuses both.
  if (options.continue_token.empty()) {
    query.add("resourceVersion", options.resource_version)
        .add("resourceVersionMatch", options.resource_version_match);
  }
  return path_of(type, options.ns, nullptr).map([&](std::string path) {
    HttpRequest request =
        read_request(std::move(path) + query.text(), options.metadata_only ? kMetadataList : kJson);
    request.expected_body = options.expected_bytes;
    return request;
  });
}

Built build_watch(const ResourceType& type, const WatchOptions& options) {
  Query query;
  query.add("watch", "1")
      .add("allowWatchBookmarks", "true")
      .add("labelSelector", options.label_selector)
      .add("fieldSelector", options.field_selector)
      .add("resourceVersion", options.resource_version)
      .add("timeoutSeconds",
           options.timeout_seconds > 0 ? std::to_string(options.timeout_seconds) : "");
  if (options.send_initial_events) {
    query.add("sendInitialEvents", "true").add("resourceVersionMatch", "NotOlderThan");
  }
  return path_of(type, options.ns, nullptr).map([&](std::string path) {
    return read_request(std::move(path) + query.text(), options.metadata_only ? kMetadata : kJson);
  });
}

Built build_create(const ResourceType& type, const std::string& ns, std::string_view json,
                   WriteAnswer answer) {
  if (type.namespaced && ns.empty()) {
    return invalid(fmt::format("{} are namespaced; give the namespace", type.plural));
  }
  return path_of(type, ns, nullptr).map([&](std::string path) {
    HttpRequest request =
        write_request(Method::Post, std::move(path) + write_query().text(), json, kJson);
    if (answer == WriteAnswer::Metadata) request.headers.front().second = kMetadata;
    return request;
  });
}

Built build_update(const ResourceType& type, const ObjectKey& key, std::string_view json,
                   const std::string& subresource) {
  return path_of(type, key.ns, &key.name, subresource).map([&](std::string path) {
    return write_request(Method::Put, std::move(path) + write_query().text(), json, kJson);
  });
}

Built build_apply(const ResourceType& type, const ObjectKey& key, std::string_view json,
                  const ApplyOptions& options) {
  if (options.field_manager.empty()) {
    return invalid("apply needs a field manager; name one");
  }
  return path_of(type, key.ns, &key.name, options.subresource).map([&](std::string path) {
    Query query = write_query(options.field_manager);
    query.add("force", options.force ? "true" : "");
    return write_request(Method::Patch, std::move(path) + query.text(), json, kApplyPatch);
  });
}

Built build_patch(const ResourceType& type, const ObjectKey& key, std::string_view body,
                  const std::string& content_type, const std::string& subresource) {
  if (content_type != kJsonPatch && content_type != kMergePatch) {
    return invalid(fmt::format("patch content type {} is not usable; it is {} or {}", content_type,
                               kJsonPatch, kMergePatch));
  }
  return path_of(type, key.ns, &key.name, subresource).map([&](std::string path) {
    return write_request(Method::Patch, std::move(path) + write_query().text(), body, content_type);
  });
}

Built build_remove(const ResourceType& type, const ObjectKey& key, const DeleteOptions& options) {
  return path_of(type, key.ns, &key.name).map([&](std::string path) {
    nlohmann::json body{{"apiVersion", "v1"}, {"kind", "DeleteOptions"}};
    if (!options.uid.empty()) {
      body["preconditions"]["uid"] = options.uid;
    }
    if (!options.resource_version.empty()) {
      body["preconditions"]["resourceVersion"] = options.resource_version;
    }
    return write_request(Method::Delete, std::move(path),
                         body.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace), kJson);
  });
}

}  // namespace gobuildenv::kube
