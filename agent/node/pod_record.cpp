#include "agent/node/pod_record.hpp"

#include <map>
#include <optional>
#include <utility>

#include "goenv/enum_names.hpp"
#include "goenv/names.hpp"
#include "kube/object_meta.hpp"
#include "kube/padded_json.hpp"

namespace gobuildenv::agent {
namespace {

using simdjson::SUCCESS;
using simdjson::ondemand::object;
using simdjson::ondemand::value;
using Attributes = std::map<std::string, std::string, std::less<>>;

/// Calls `visit(key, value)` for each member; false when `in` is no object or is broken.
template <class Visit>
bool members(value in, Visit&& visit) {
  object all;
  if (in.get_object().get(all) != SUCCESS) return false;
  for (auto member : all) {
    std::string_view key;
    value item;
    if (member.unescaped_key().get(key) != SUCCESS || member.value().get(item) != SUCCESS) {
      return false;
    }
    if (!visit(key, item)) return false;
  }
  return true;
}

std::string text(value in) {
  std::string_view view;
  return in.get_string().get(view) == SUCCESS ? std::string(view) : std::string();
}

std::optional<PodVolume> volume_of(const Attributes& attributes) {
  const auto of = [&](std::string_view key) {
    const auto found = attributes.find(key);
    return found == attributes.end() ? std::string() : found->second;
  };
  const auto kind = parse_volume_kind(of("kind"));
  if (!kind) return std::nullopt;
  PodVolume out;
  out.kind = *kind;
  out.environment = of("environment");
  out.toolchain = of("toolchain");
  out.scope = goenv::enum_value<goenv::CacheScope>(of("scope")).value_or(out.scope);
  return out;
}

/// spec.volumes[].csi
bool read_csi(value csi, PodRecord& out) {
  std::string driver;
  Attributes attributes;
  const bool good = members(csi, [&](std::string_view key, value item) {
    if (key == "driver") driver = text(item);
    if (key != "volumeAttributes") return true;
    return members(item, [&](std::string_view name, value attribute) {
      attributes.emplace(name, text(attribute));
      return true;
    });
  });
  if (!good) return false;
  if (driver != goenv::kCsiDriver) return true;
  if (auto volume = volume_of(attributes)) out.volumes.push_back(std::move(*volume));
  return true;
}

bool read_volumes(value in, PodRecord& out) {
  simdjson::ondemand::array list;
  if (in.get_array().get(list) != SUCCESS) return false;
  for (auto entry : list) {
    value volume;
    if (entry.get(volume) != SUCCESS) return false;
    const bool good = members(volume, [&](std::string_view key, value item) {
      return key != "csi" || read_csi(item, out);
    });
    if (!good) return false;
  }
  return true;
}

/// metadata.annotations of a static pod's mirror: it has another uid than the pod itself.
bool read_metadata(value in, PodRecord& out) {
  return members(in, [&](std::string_view key, value item) {
    if (key != "annotations") return true;
    return members(item, [&](std::string_view name, value text_of) {
      if (name == "kubernetes.io/config.mirror") out.folder = text(text_of);
      return true;
    });
  });
}

bool read_pod(value root, PodRecord& out) {
  return members(root, [&](std::string_view key, value item) {
    if (key == "metadata") return read_metadata(item, out);
    if (key == "spec") {
      return members(item, [&](std::string_view name, value part) {
        return name != "volumes" || read_volumes(part, out);
      });
    }
    if (key != "status") return true;
    return members(item, [&](std::string_view name, value part) {
      if (name != "phase") return true;
      const std::string phase = text(part);
      out.finished = phase == "Succeeded" || phase == "Failed";
      return true;
    });
  });
}

}  // namespace

tl::expected<kube::Decoded<PodRecord>, std::string> decode_pod(std::string_view json) {
  auto identity = kube::decode_identity(json);
  if (!identity) return tl::unexpected(std::move(identity.error()));
  auto record = std::make_shared<PodRecord>();
  const bool good = kube::PaddedJson::with_json(json, [&](auto& document, const char*) {
    value root;
    return document.get_value().get(root) == SUCCESS && read_pod(root, *record);
  });
  if (!good) return tl::unexpected(std::string("the pod's volumes are malformed"));
  record->ns = identity->meta.key.ns;
  record->name = identity->meta.key.name;
  record->uid = identity->meta.uid;
  if (record->folder.empty()) record->folder = record->uid;
  return kube::Decoded<PodRecord>{std::move(identity->meta), std::move(record)};
}

}  // namespace gobuildenv::agent
