#include "webhooks/pod/pod_parts.hpp"

namespace gobuildenv::webhooks {
namespace {

using simdjson::dom::element;

/// Calls `each(key, value)` for the members of an object; for anything else, not at all.
template <typename Each>
void for_members(const Part& part, Each each) {
  simdjson::dom::object members;
  if (!part.present || part.value.get_object().get(members) != simdjson::SUCCESS) return;
  for (const auto field : members) each(field.key, field.value);
}

}  // namespace

MetadataParts::MetadataParts(Part metadata) : whole(metadata) {
  for_members(whole, [this](std::string_view key, element value) {
    if (key == "labels") labels = Part(value);
    if (key == "annotations") annotations = Part(value);
  });
}

ContainerParts::ContainerParts(Part container) : whole(container) {
  for_members(whole, [this](std::string_view key, element value) {
    if (key == "image") image = Part(value);
    if (key == "imagePullPolicy") pull_policy = Part(value);
    if (key == "env") env = Part(value);
    if (key == "volumeMounts") mounts = Part(value);
  });
}

PodParts::PodParts(element pod) : whole(pod) {
  for_members(whole, [this](std::string_view key, element value) {
    if (key == "metadata") metadata = MetadataParts(Part(value));
    if (key == "spec") spec = Part(value);
  });
  for_members(spec, [this](std::string_view key, element value) {
    if (key == "volumes") volumes = Part(value);
    if (key == "containers") containers = Part(value);
    if (key == "initContainers") init_containers = Part(value);
  });
}

Part item_of(const Part& list, std::size_t index) {
  simdjson::dom::array items;
  if (!list.present || list.value.get_array().get(items) != simdjson::SUCCESS) return {};
  for (element item : items) {
    if (index-- == 0) return Part(item);
  }
  return {};
}

}  // namespace gobuildenv::webhooks
