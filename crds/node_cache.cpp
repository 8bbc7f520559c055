#include "crds/node_cache.hpp"

#include <algorithm>

#include "crds/condition_names.hpp"
#include "crds/node_cache_names.hpp"
#include "crds/scalars.hpp"
#include "crds/time.hpp"
#include "goenv/json_text.hpp"

namespace gobuildenv::crds {
namespace {

using goenv::append_key;
using goenv::append_member;
using goenv::append_nonempty;
using goenv::append_number;
using goenv::begin_item;

constexpr std::int64_t kMi = std::int64_t{1} << 20;
constexpr std::int64_t kGi = std::int64_t{1} << 30;

void size(std::string& out, std::string_view key, std::int64_t bytes) {
  if (bytes > 0) append_member(out, key, format_size(bytes));
}

void time(std::string& out, std::string_view key, std::int64_t seconds) {
  if (seconds > 0) append_member(out, key, format_time(seconds));
}

/// Appends `"key":[…]`, each item by `append(item)` between its braces; nothing for an empty list.
template <class Item, class Append>
void list(std::string& out, std::string_view key, const std::vector<Item>& items, Append append) {
  if (items.empty()) return;
  append_key(out, key);
  out += '[';
  for (const Item& item : items) {
    begin_item(out);
    append(item);
    out += '}';
  }
  out += ']';
}

void append_toolchain(std::string& out, const NodeToolchain& t) {
  append_member(out, "version", t.version);
  append_member(out, "os", t.os);
  append_member(out, "arch", t.arch);
  append_member(out, "key", t.key);
  append_member(out, "state", goenv::enum_name(t.state));
  append_nonempty(out, "sum", t.sum);
  size(out, "size", t.size);
  if (t.progress > 0) append_number(out, "progress", t.progress);
  append_nonempty(out, "reason", t.reason);
  append_nonempty(out, "message", t.message);
  if (t.volumes > 0) append_number(out, "volumes", t.volumes);
  time(out, "lastUsed", t.last_used);
}

void append_condition(std::string& out, const Condition& c) {
  append_member(out, "type", c.type);
  append_member(out, "status", goenv::enum_name(c.status));
  append_member(out, "lastTransitionTime", c.last_transition_time);
  append_member(out, "reason", c.reason);
  append_member(out, "message", c.message);
}

/// apiVersion, kind and the beginning of metadata, with the name.
std::string begin(std::string_view node) {
  std::string out = "{";
  append_member(out, "apiVersion", kApiVersion);
  append_member(out, "kind", kNodeCacheKind);
  append_key(out, "metadata");
  out += '{';
  append_member(out, "name", node);
  return out;
}

}  // namespace

const Condition* NodeCacheStatus::find(std::string_view type) const {
  const auto it = std::find_if(conditions.begin(), conditions.end(),
                               [&](const Condition& c) { return c.type == type; });
  return it == conditions.end() ? nullptr : &*it;
}

std::string format_size(std::int64_t bytes) {
  const std::int64_t unit = bytes < 10 * kGi ? kMi : kGi;
  return format_quantity((bytes / unit + (bytes % unit >= unit / 2 ? 1 : 0)) * unit);
}

std::string encode_node_cache(std::string_view node, std::string_view node_uid) {
  std::string out = begin(node);
  out += R"(,"labels":{"app.kubernetes.io/managed-by":"gobuildenv"})";
  out += R"(,"ownerReferences":[{"apiVersion":"v1","kind":"Node")";
  append_member(out, "name", node);
  append_member(out, "uid", node_uid);
  out += "}]}}";
  return out;
}

std::string encode_node_cache_status(std::string_view node, std::string_view uid,
                                     const NodeCacheStatus& status) {
  std::string out = begin(node);
  append_nonempty(out, "uid", uid);
  out += R"(},"status":{)";
  append_nonempty(out, "agentVersion", status.agent_version);
  append_key(out, "summary");
  out += '{';
  append_nonempty(out, "toolchains", status.toolchains_summary);
  append_member(out, "size", format_size(status.size));
  out += '}';
  list(out, "toolchains", status.toolchains, [&](const auto& t) { append_toolchain(out, t); });
  list(out, "caches", status.caches, [&](const NodeCacheSize& c) {
    append_member(out, "namespaceUID", c.namespace_uid);
    append_member(out, "environment", c.environment);
    size(out, "size", c.size);
    time(out, "lastUsed", c.last_used);
  });
  if (status.disk_size > 0) {
    append_key(out, "disk");
    out += '{';
    size(out, "size", status.disk_size);
    append_number(out, "usedPercent", status.disk_used_percent);
    append_number(out, "inodesUsedPercent", status.inodes_used_percent);
    out += '}';
  }
  if (status.last_collected > 0 || !status.decisions.empty()) {
    append_key(out, "collection");
    out += '{';
    time(out, "lastCollected", status.last_collected);
    size(out, "collected", status.collected);
    size(out, "reclaimed", status.reclaimed);
    list(out, "decisions", status.decisions, [&](const NodeDecision& d) {
      append_member(out, "unit", d.unit);
      append_member(out, "action", d.removed ? "Removed" : "Kept");
      size(out, "size", d.size);
      append_member(out, "why", d.why);
    });
    out += '}';
  }
  list(out, "conditions", status.conditions, [&](const auto& c) { append_condition(out, c); });
  out += "}}";
  return out;
}

}  // namespace gobuildenv::crds
