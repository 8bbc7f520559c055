#include "webhooks/pod/volumes.hpp"

#include <simdjson.h>

#include "goenv/enum_names.hpp"
#include "goenv/names.hpp"
#include "webhooks/pod/json_text.hpp"

namespace gobuildenv::webhooks {
namespace {

using simdjson::dom::element;

/// Whether every member of `wanted` is in `actual` with the same value; lists must be equal.
bool covers(element actual, element wanted) {
  simdjson::dom::object object;
  if (wanted.get_object().get(object) == simdjson::SUCCESS) {
    simdjson::dom::object theirs;
    if (actual.get_object().get(theirs) != simdjson::SUCCESS) return false;
    for (auto field : object) {
      element value;
      if (theirs.at_key(field.key).get(value) != simdjson::SUCCESS) return false;
      if (!covers(value, field.value)) return false;
    }
    return true;
  }
  simdjson::dom::array list;
  if (wanted.get_array().get(list) == simdjson::SUCCESS) {
    simdjson::dom::array theirs;
    if (actual.get_array().get(theirs) != simdjson::SUCCESS || theirs.size() != list.size()) {
      return false;
    }
    auto their = theirs.begin();
    for (element value : list) {
      if (!covers(*their, value)) return false;
      ++their;
    }
    return true;
  }
  return simdjson::minify(actual) == simdjson::minify(wanted);
}

std::string begin_volume(std::string_view name) {
  std::string json = "{";
  append_member(json, "name", name);
  return json;
}

std::string config_map_volume(std::string_view name, std::string_view config_map) {
  std::string json = begin_volume(name);
  json += ",\"configMap\":{";
  append_member(json, "name", config_map);
  json += ",\"defaultMode\":365}}";  // 0555: scripts must be executable by any uid
  return json;
}

std::string csi_volume(std::string_view name, const InjectionInput& input, std::string_view kind,
                       std::string_view scope, bool read_only) {
  std::string json = begin_volume(name);
  json += ",\"csi\":{";
  append_member(json, "driver", goenv::kCsiDriver);
  json += read_only ? ",\"readOnly\":true" : "";
  json += ",\"volumeAttributes\":{";
  append_member(json, "kind", kind);
  append_member(json, "environment", input.environment);
  append_member(json, "revision", input.revision);
  append_member(json, "toolchain", input.plan.toolchain);
  if (!scope.empty()) append_member(json, "scope", scope);
  json += "}}}";
  return json;
}

/// The netrc item of the Secret. A pod with an fsGroup gets it group-readable; without one its
/// processes may run under any uid, and only the pod's own containers see the volume anyhow.
std::string credentials_volume(std::string_view secret, bool fs_group) {
  std::string json = begin_volume(kCredentialsVolume);
  json += ",\"projected\":{\"sources\":[{\"secret\":{";
  append_member(json, "name", secret);
  json += ",\"items\":[{\"key\":\"netrc\",\"path\":\"netrc\"}]}}],\"defaultMode\":";
  json += fs_group ? "288}}" : "292}}";  // 0440, 0444
  return json;
}

std::string ca_volume(const goenv::PodPlan& plan) {
  std::string json = begin_volume(kCaVolume);
  json += ",\"configMap\":{";
  append_member(json, "name", plan.ca_config_map);
  json += ",\"items\":[{";
  append_member(json, "key", plan.ca_key);
  append_member(json, "path", plan.ca_key);
  json += "}],\"defaultMode\":292}}";
  return json;
}

}  // namespace

bool wants_toolchain_volume(const goenv::PodPlan& plan) {
  return plan.delivery == goenv::Delivery::Volume && !plan.toolchain_path.empty();
}

bool mounts_toolchain(const InjectionInput& input) {
  return input.csi_available && wants_toolchain_volume(input.plan);
}

std::string volume_json(std::string_view name, PodKind kind, const InjectionInput& input) {
  const goenv::PodPlan& plan = input.plan;
  if (name == kFilesVolume) return config_map_volume(name, input.config_map);
  if (name == kToolchainVolume) return csi_volume(name, input, "toolchain", {}, true);
  if (name == kCredentialsVolume) {
    return credentials_volume(plan.credentials_secret, kind == PodKind::WithGroup);
  }
  if (name == kCaVolume) return ca_volume(plan);
  for (const goenv::CacheMount& cache : plan.caches) {
    if (cache.volume != name || cache.scope == goenv::CacheScope::Pod || cache.kind == "work" ||
        !input.csi_available || kind == PodKind::InUserNamespace) {
      continue;
    }
    return csi_volume(name, input, cache.kind, goenv::enum_name(cache.scope), false);
  }
  // An emptyDir is created with mode 0777 and takes the pod's fsGroup: writable for any runAsUser.
  return begin_volume(name) + ",\"emptyDir\":{}}";
}

bool volume_satisfies(std::string_view actual, std::string_view wanted) {
  simdjson::dom::parser left;
  simdjson::dom::parser right;
  element a;
  element b;
  return left.parse(actual.data(), actual.size()).get(a) == simdjson::SUCCESS &&
         right.parse(wanted.data(), wanted.size()).get(b) == simdjson::SUCCESS && covers(a, b);
}

}  // namespace gobuildenv::webhooks
