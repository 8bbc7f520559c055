#include <nlohmann/json.hpp>

#include "crds/condition_names.hpp"
#include "crds/json_reader.hpp"
#include "crds/node_cache.hpp"
#include "crds/node_cache_names.hpp"
#include "crds/scalars.hpp"
#include "crds/time.hpp"

namespace gobuildenv::crds {
namespace {

void size(JsonReader& r, const char* key, std::int64_t& out) {
  std::string text;
  r.text(key, text);
  if (text.empty()) return;
  if (const auto bytes = parse_quantity(text)) {
    out = *bytes;
  } else {
    r.fail(r.child(key), text, "must be a quantity such as 1500Mi");
  }
}

void time(JsonReader& r, const char* key, std::int64_t& out) {
  std::string text;
  r.text(key, text);
  if (!text.empty()) out = parse_time(text);
}

NodeToolchain read_toolchain(JsonReader& r) {
  NodeToolchain out;
  r.text("version", out.version);
  r.text("os", out.os);
  r.text("arch", out.arch);
  r.text("key", out.key);
  r.enumeration("state", out.state);
  r.text("sum", out.sum);
  size(r, "size", out.size);
  r.integer("progress", out.progress);
  r.text("reason", out.reason);
  r.text("message", out.message);
  r.integer("volumes", out.volumes);
  time(r, "lastUsed", out.last_used);
  return out;
}

NodeCacheSize read_cache(JsonReader& r) {
  NodeCacheSize out;
  r.text("namespaceUID", out.namespace_uid);
  r.text("environment", out.environment);
  size(r, "size", out.size);
  time(r, "lastUsed", out.last_used);
  return out;
}

NodeDecision read_decision(JsonReader& r) {
  NodeDecision out;
  std::string action;
  r.text("unit", out.unit);
  r.text("action", action);
  size(r, "size", out.size);
  r.text("why", out.why);
  out.removed = action == "Removed";
  return out;
}

Condition read_condition(JsonReader& r) {
  Condition out;
  r.text("type", out.type);
  r.enumeration("status", out.status);
  r.text("lastTransitionTime", out.last_transition_time);
  r.text("reason", out.reason);
  r.text("message", out.message);
  return out;
}

NodeCacheStatus read_status(JsonReader r) {
  NodeCacheStatus out;
  r.text("agentVersion", out.agent_version);
  if (auto summary = r.object("summary")) {
    summary->text("toolchains", out.toolchains_summary);
    size(*summary, "size", out.size);
  }
  r.objects("toolchains", [&](JsonReader& t) { out.toolchains.push_back(read_toolchain(t)); });
  r.objects("caches", [&](JsonReader& c) { out.caches.push_back(read_cache(c)); });
  if (auto disk = r.object("disk")) {
    size(*disk, "size", out.disk_size);
    disk->integer("usedPercent", out.disk_used_percent);
    disk->integer("inodesUsedPercent", out.inodes_used_percent);
  }
  if (auto collection = r.object("collection")) {
    time(*collection, "lastCollected", out.last_collected);
    size(*collection, "collected", out.collected);
    size(*collection, "reclaimed", out.reclaimed);
    collection->objects("decisions",
                        [&](JsonReader& d) { out.decisions.push_back(read_decision(d)); });
  }
  r.objects("conditions", [&](JsonReader& c) { out.conditions.push_back(read_condition(c)); });
  return out;
}

}  // namespace

tl::expected<NodeCache, Errors> decode_node_cache(std::string_view object_json) {
  const auto json = nlohmann::json::parse(object_json, nullptr, false);
  Errors errors;
  if (!json.is_object()) {
    errors.push_back({"", "", "must be a JSON object"});
    return tl::unexpected(std::move(errors));
  }
  JsonReader r(json, "", errors);
  NodeCache out;
  if (auto metadata = r.object("metadata")) {
    metadata->text("name", out.name);
    metadata->text("uid", out.uid);
    metadata->objects("ownerReferences", [&](JsonReader& owner) {
      std::string kind;
      owner.text("kind", kind);
      if (kind == "Node") owner.text("uid", out.owner_uid);
    });
  }
  if (auto status = r.object("status")) out.status = read_status(*status);
  if (!errors.empty()) return tl::unexpected(std::move(errors));
  return out;
}

}  // namespace gobuildenv::crds
