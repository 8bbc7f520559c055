#include <simdjson.h>

#include "crds/object_codec.hpp"
#include "goenv/names.hpp"

namespace gobuildenv::crds {
namespace {

using simdjson::ondemand::object;
using simdjson::ondemand::value;

tl::unexpected<std::string> bad(std::string_view field) {
  return tl::unexpected(std::string(field) + " is malformed");
}

/// Copies a string member; false when it is no string.
bool text(value v, std::string& out) {
  std::string_view view;
  if (v.get_string().get(view) != simdjson::SUCCESS) return false;
  out = view;
  return true;
}

bool read_annotations(value v, Metadata& out) {
  object annotations;
  if (v.get_object().get(annotations) != simdjson::SUCCESS) return false;
  for (auto entry : annotations) {
    std::string_view key;
    if (entry.unescaped_key().get(key) != simdjson::SUCCESS) return false;
    if (key != goenv::kResolveAnnotation) continue;
    value item;
    if (entry.value().get(item) != simdjson::SUCCESS) return false;
    if (!text(item, out.annotations[std::string(key)])) return false;
  }
  return true;
}

bool read_metadata(value v, Metadata& out) {
  object metadata;
  if (v.get_object().get(metadata) != simdjson::SUCCESS) return false;
  for (auto entry : metadata) {
    std::string_view key;
    value item;
    if (entry.unescaped_key().get(key) != simdjson::SUCCESS ||
        entry.value().get(item) != simdjson::SUCCESS) {
      return false;
    }
    bool good = true;
    if (key == "name") good = text(item, out.name);
    if (key == "namespace") good = text(item, out.ns);
    if (key == "uid") good = text(item, out.uid);
    if (key == "resourceVersion") good = text(item, out.resource_version);
    if (key == "generation") good = item.get_int64().get(out.generation) == simdjson::SUCCESS;
    if (key == "deletionTimestamp") good = text(item, out.deletion_timestamp);
    if (key == "annotations") good = read_annotations(item, out);
    if (!good) return false;
  }
  return true;
}

/// The text of an object-valued member, without a copy.
bool raw_object(value v, std::string_view& out) {
  object inner;
  return v.get_object().get(inner) == simdjson::SUCCESS &&
         inner.raw_json().get(out) == simdjson::SUCCESS;
}

}  // namespace

tl::expected<Summary, std::string> summarize(std::string_view object_json) {
  thread_local simdjson::ondemand::parser parser;
  const simdjson::padded_string padded(object_json);
  simdjson::ondemand::document document;
  object root;
  if (parser.iterate(padded).get(document) != simdjson::SUCCESS ||
      document.get_object().get(root) != simdjson::SUCCESS) {
    return tl::unexpected(std::string("the object is not JSON"));
  }
  Summary out;
  bool has_spec = false;
  for (auto entry : root) {
    std::string_view key;
    value item;
    if (entry.unescaped_key().get(key) != simdjson::SUCCESS ||
        entry.value().get(item) != simdjson::SUCCESS) {
      return tl::unexpected(std::string("the object is not JSON"));
    }
    std::string_view raw;
    if (key == "metadata") {
      if (!read_metadata(item, out.metadata)) return bad("metadata");
    } else if (key == "spec") {
      if (!raw_object(item, raw)) return bad("spec");
      out.spec_json = raw;
      has_spec = true;
    } else if (key == "status") {
      if (raw_object(item, raw)) out.status = read_status(raw).value_or(Status{});
    }
  }
  if (out.metadata.name.empty()) return bad("metadata.name");
  if (!has_spec) return bad("spec");
  return out;
}

}  // namespace gobuildenv::crds
