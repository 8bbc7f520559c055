// A pod and a patch, on two lines: a patch that passes the check applies, changes only what
// injection may change, and leaves no name, path or volume that the API server would refuse.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "webhooks/pod/paths.hpp"
#include "webhooks/pod/verify.hpp"

namespace {

using Json = nlohmann::json;
using gobuildenv::webhooks::clean_path;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "after an accepted patch: %s\n", what);
  std::abort();
}

Json member(const Json& value, const char* key) {
  return value.is_object() && value.contains(key) ? value[key] : Json();
}

std::string text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

/// A list's items by what must be unique among them.
std::string name_of(const Json& item, const char* key) {
  const std::string name = text(member(item, key));
  return key == std::string("mountPath") && !name.empty() ? clean_path(name) : name;
}

/// Items keep their place and name; those that came to be have a name that no other has.
void check_list(const Json& before, const Json& after, const char* key) {
  if (!after.is_array()) return require(before == after, "a list is gone");
  const std::size_t old_size = before.is_array() ? before.size() : 0;
  require(after.size() >= old_size, "a list is shorter");
  for (std::size_t i = 0; i < after.size(); ++i) {
    const std::string name = name_of(after[i], key);
    if (i < old_size) {
      require(name == name_of(before[i], key), "an item has another name");
      continue;
    }
    require(!name.empty(), "an item has no name");
    for (std::size_t j = 0; j < i; ++j) {
      require(name_of(after[j], key) != name, "two items have one name");
    }
  }
}

void check_volumes_of(const Json& before, const Json& after, const Json& volumes) {
  for (std::size_t i = 0; after.is_array() && i < after.size(); ++i) {
    if (before.is_array() && i < before.size() && before[i] == after[i]) continue;
    bool found = false;
    for (const Json& volume : volumes) {
      found = found || text(member(volume, "name")) == text(member(after[i], "name"));
    }
    require(volumes.is_array() && found, "a mount has no volume");
  }
}

void check_map(const Json& before, const Json& after) {
  if (before == after) return;
  require(after.is_object(), "a map is none");
  for (const auto& [key, value] : after.items()) {
    const bool old = before.is_object() && before.contains(key) && before[key] == value;
    require(old || value.is_string(), "a map has a value that is no string");
  }
  if (!before.is_object()) return;
  for (const auto& [key, value] : before.items()) require(after.contains(key), "a key is gone");
}

void erase(Json& value, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (value.is_object()) value.erase(key);
  }
}

/// The pod without what injection may change.
Json rest_of(Json pod) {
  if (!pod.is_object()) return pod;
  if (pod.contains("metadata")) {
    Json& metadata = pod["metadata"];
    erase(metadata, {"labels", "annotations"});
    if (metadata.empty()) pod.erase("metadata");
  }
  if (!pod.contains("spec")) return pod;
  Json& spec = pod["spec"];
  erase(spec, {"volumes"});
  for (const char* list : {"containers", "initContainers"}) {
    if (!member(spec, list).is_array()) continue;
    for (Json& container : spec[list]) {
      erase(container, {"env", "volumeMounts", "image", "imagePullPolicy"});
    }
  }
  return pod;
}

void check_pods(const Json& before, const Json& after) {
  require(rest_of(before) == rest_of(after), "something else has changed");
  for (const char* map : {"labels", "annotations"}) {
    check_map(member(member(before, "metadata"), map), member(member(after, "metadata"), map));
  }
  const Json old_spec = member(before, "spec");
  const Json spec = member(after, "spec");
  const Json volumes = member(spec, "volumes");
  check_list(member(old_spec, "volumes"), volumes, "name");
  for (const char* list : {"containers", "initContainers"}) {
    const Json old_containers = member(old_spec, list);
    const Json containers = member(spec, list);
    for (std::size_t i = 0; containers.is_array() && i < containers.size(); ++i) {
      const Json& old = old_containers[i];
      check_list(member(old, "env"), member(containers[i], "env"), "name");
      const Json mounts = member(containers[i], "volumeMounts");
      check_list(member(old, "volumeMounts"), mounts, "mountPath");
      check_volumes_of(member(old, "volumeMounts"), mounts, volumes);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const std::size_t line = input.find('\n');
  if (line == std::string::npos) return 0;
  const std::string patch_text = input.substr(line + 1);
  const Json pod = Json::parse(input.substr(0, line), nullptr, false);
  const Json patch = Json::parse(patch_text, nullptr, false);
  if (pod.is_discarded() || patch.is_discarded()) return 0;
  // Written anew: the API server sends no member twice, and parsers read those differently.
  const std::string pod_text = pod.dump();
  simdjson::dom::parser parser;
  simdjson::dom::element element;
  if (parser.parse(pod_text).get(element) != simdjson::SUCCESS) return 0;
  if (!gobuildenv::webhooks::verify_patch(element, patch_text, "").empty()) return 0;
  check_pods(pod, pod.patch(patch));  // patch() throws, and so crashes, where the check was wrong
  return 0;
}
