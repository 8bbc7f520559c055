#include "kube/object_meta.hpp"

#include "kube/padded_json.hpp"

namespace gobuildenv::kube {
namespace {

namespace ondemand = simdjson::ondemand;
using simdjson::error_code;
using simdjson::SUCCESS;

/// The first error wins; every reader below does nothing once there is one.
struct Reader {
  std::string error;

  bool failed(error_code code, std::string_view field) {
    if (code == SUCCESS) return !error.empty();
    if (error.empty()) {
      error = "metadata." + std::string(field) + ": " + simdjson::error_message(code);
    }
    return true;
  }

  /// JSON's null, which counts as absent. What only begins like it is an error.
  bool is_null(ondemand::value& value, std::string_view field) {
    bool null = false;
    return failed(value.is_null().get(null), field) || null;
  }

  void text(ondemand::value& value, std::string_view field, std::string& out) {
    if (is_null(value, field)) return;
    std::string_view view;
    if (!failed(value.get_string().get(view), field)) out = view;
  }

  void strings(ondemand::value& value, std::string_view field,
               std::map<std::string, std::string>& out) {
    if (is_null(value, field)) return;
    ondemand::object object;
    if (failed(value.get_object().get(object), field)) return;
    for (auto member : object) {
      std::string_view key;
      if (failed(member.unescaped_key().get(key), field)) return;
      std::string owned_key(key);
      std::string_view text_value;
      if (failed(member.value().get_string().get(text_value), field)) return;
      out.insert_or_assign(std::move(owned_key), std::string(text_value));
    }
  }

  void owner(ondemand::object& object, OwnerReference& out) {
    for (auto member : object) {
      std::string_view key;
      if (failed(member.unescaped_key().get(key), "ownerReferences")) return;
      const std::string field(key);
      ondemand::value value;
      if (failed(member.value().get(value), "ownerReferences")) return;
      if (field == "apiVersion") text(value, "ownerReferences.apiVersion", out.api_version);
      if (field == "kind") text(value, "ownerReferences.kind", out.kind);
      if (field == "name") text(value, "ownerReferences.name", out.name);
      if (field == "uid") text(value, "ownerReferences.uid", out.uid);
      if (field == "controller" && !is_null(value, "ownerReferences.controller")) {
        if (failed(value.get_bool().get(out.controller), "ownerReferences.controller")) return;
      }
      if (!error.empty()) return;
    }
  }

  void owners(ondemand::value& value, std::vector<OwnerReference>& out) {
    if (is_null(value, "ownerReferences")) return;
    ondemand::array array;
    if (failed(value.get_array().get(array), "ownerReferences")) return;
    for (auto element : array) {
      ondemand::object object;
      if (failed(element.get_object().get(object), "ownerReferences")) return;
      owner(object, out.emplace_back());
      if (!error.empty()) return;
    }
  }

  void list(ondemand::value& value, std::string_view field, std::vector<std::string>& out) {
    if (is_null(value, field)) return;
    ondemand::array array;
    if (failed(value.get_array().get(array), field)) return;
    for (auto element : array) {
      std::string_view view;
      if (failed(element.get_string().get(view), field)) return;
      out.emplace_back(view);
    }
  }
};

/// Calls `use(key, value, reader)` for each member of `metadata`; gives the first error.
template <class Use>
std::string each_member(std::string_view json, Use&& use) {
  return PaddedJson::with_json(json, [&](auto& document, const char*) -> std::string {
    ondemand::object metadata;
    if (const auto code = document["metadata"].get_object().get(metadata); code != SUCCESS) {
      return std::string("metadata: ") + simdjson::error_message(code);
    }
    Reader reader;
    for (auto member : metadata) {
      std::string_view key;
      if (reader.failed(member.unescaped_key().get(key), "?")) break;
      const std::string field(key);
      ondemand::value value;
      if (reader.failed(member.value().get(value), field)) break;
      use(field, value, reader);
      if (!reader.error.empty()) break;
    }
    return std::move(reader.error);
  });
}

}  // namespace

tl::expected<ObjectHeader, std::string> decode_header(std::string_view json) {
  ObjectHeader header;
  auto error = each_member(json, [&](const std::string& key, auto& value, Reader& reader) {
    if (key == "name") reader.text(value, key, header.meta.key.name);
    if (key == "namespace") reader.text(value, key, header.meta.key.ns);
    if (key == "uid") reader.text(value, key, header.meta.uid);
    if (key == "resourceVersion") reader.text(value, key, header.meta.resource_version);
    if (key == "creationTimestamp") reader.text(value, key, header.creation_timestamp);
    if (key == "deletionTimestamp") reader.text(value, key, header.deletion_timestamp);
    if (key == "generation") reader.failed(value.get_int64().get(header.generation), key);
    if (key == "labels") reader.strings(value, key, header.labels);
    if (key == "annotations") reader.strings(value, key, header.annotations);
    if (key == "ownerReferences") reader.owners(value, header.owners);
    if (key == "finalizers") reader.list(value, key, header.finalizers);
  });
  if (!error.empty()) return tl::unexpected(std::move(error));
  return header;
}

tl::expected<ObjectIdentity, std::string> decode_identity(std::string_view json) {
  ObjectIdentity identity;
  auto error = each_member(json, [&](const std::string& key, auto& value, Reader& reader) {
    if (key == "name") reader.text(value, key, identity.meta.key.name);
    if (key == "namespace") reader.text(value, key, identity.meta.key.ns);
    if (key == "uid") reader.text(value, key, identity.meta.uid);
    if (key == "resourceVersion") reader.text(value, key, identity.meta.resource_version);
    if (key == "deletionTimestamp") identity.deleting = !reader.is_null(value, key);
    if (key == "annotations") {
      std::map<std::string, std::string> annotations;
      reader.strings(value, key, annotations);
      const auto found = annotations.find("k8s.io/initial-events-end");
      identity.initial_events_end = found != annotations.end() && found->second == "true";
    }
  });
  if (!error.empty()) return tl::unexpected(std::move(error));
  return identity;
}

}  // namespace gobuildenv::kube
