#include "crds/gobuildenv.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "crds/json_reader.hpp"
#include "crds/object_codec.hpp"
#include "goenv/names.hpp"

namespace gobuildenv::crds {
namespace {

Metadata read_metadata(JsonReader r) {
  Metadata out;
  r.text("namespace", out.ns);
  r.text("name", out.name);
  r.text("uid", out.uid);
  r.text("resourceVersion", out.resource_version);
  r.integer("generation", out.generation);
  r.text("deletionTimestamp", out.deletion_timestamp);
  r.text_map("labels", out.labels);
  r.text_map("annotations", out.annotations);
  return out;
}

void check_identity(JsonReader r) {
  std::string api_version;
  std::string kind;
  r.text("apiVersion", api_version);
  r.text("kind", kind);
  if (api_version != kApiVersion) {
    r.fail("apiVersion", api_version, fmt::format("must be {}", kApiVersion));
  }
  if (kind != kKind) r.fail("kind", kind, fmt::format("must be {}", kKind));
}

}  // namespace

std::string describe(const Errors& errors) {
  std::string out;
  for (const auto& e : errors) {
    if (!out.empty()) out += '\n';
    out += e.value.empty() ? fmt::format("{}: {}", e.field, e.message)
                           : fmt::format("{}: {}: {}", e.field, e.value, e.message);
  }
  return out;
}

std::string Metadata::resolve() const {
  const auto it = annotations.find(std::string(goenv::kResolveAnnotation));
  return it == annotations.end() ? std::string() : it->second;
}

Errors unknown_fields(std::string_view object_json) {
  const auto json = nlohmann::json::parse(object_json, nullptr, false);
  Errors out;
  if (!json.is_object() || !json.contains("spec") || !json["spec"].is_object()) return out;
  Errors ignored;
  FieldUse use;
  read_spec(JsonReader(json["spec"], "spec", ignored, &use));
  for (const auto& [path, object] : use.objects) {
    for (const auto& member : object.node->items()) {
      if (object.fields.contains(member.key())) continue;
      out.push_back(
          {fmt::format("{}.{}", path, member.key()), "",
           fmt::format("there is no such field; {} has {}", path, fmt::join(object.fields, ", "))});
    }
  }
  return out;
}

tl::expected<GoBuildEnv, Errors> decode(std::string_view object_json) {
  const auto json = nlohmann::json::parse(object_json, nullptr, false);
  Errors errors;
  if (!json.is_object()) {
    errors.push_back({"", "", "must be a JSON object"});
    return tl::unexpected(std::move(errors));
  }
  JsonReader r(json, "", errors);
  check_identity(r);
  GoBuildEnv out;
  if (auto metadata = r.object("metadata")) out.metadata = read_metadata(*metadata);
  if (auto spec = r.object("spec")) {
    out.spec = read_spec(*spec);
  } else if (r.member("spec") == nullptr) {
    errors.push_back({"spec", "", "is missing"});
  }
  if (const auto* status = r.member("status")) {
    if (auto read = read_status(status->dump())) {
      out.status = std::move(*read);
    } else {
      r.fail("status", *status, "is not a status of this kind: leave it out");
    }
  }
  if (!errors.empty()) return tl::unexpected(std::move(errors));
  return out;
}

std::string encode(const GoBuildEnv& object) {
  nlohmann::ordered_json out;
  out["apiVersion"] = kApiVersion;
  out["kind"] = kKind;
  auto& metadata = out["metadata"];
  metadata["name"] = object.metadata.name;
  if (!object.metadata.ns.empty()) metadata["namespace"] = object.metadata.ns;
  for (const auto& [key, value] : object.metadata.labels) metadata["labels"][key] = value;
  for (const auto& [key, value] : object.metadata.annotations) metadata["annotations"][key] = value;
  out["spec"] = spec_to_json(object.spec);
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace gobuildenv::crds
