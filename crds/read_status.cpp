#include <simdjson.h>

#include <limits>

#include "crds/condition_names.hpp"
#include "crds/object_codec.hpp"

namespace gobuildenv::crds {
namespace {

using simdjson::SUCCESS;
using simdjson::ondemand::array;
using simdjson::ondemand::object;
using simdjson::ondemand::value;

// Every reader gives false at the first thing that is not what the schema says. Null counts as
// absent; unknown members are not looked at.

bool is_null(value& v, bool& failed) {
  bool null = false;
  failed = v.is_null().get(null) != SUCCESS;
  return null;
}

bool read(value v, std::string& out) {
  bool failed = false;
  if (is_null(v, failed)) return true;
  std::string_view view;
  if (failed || v.get_string().get(view) != SUCCESS) return false;
  out = view;
  return true;
}

template <class Int>
bool read_number(value v, Int& out) {
  bool failed = false;
  if (is_null(v, failed)) return true;
  std::int64_t wide = 0;
  if (failed || v.get_int64().get(wide) != SUCCESS || wide < std::numeric_limits<Int>::min() ||
      wide > std::numeric_limits<Int>::max()) {
    return false;
  }
  out = static_cast<Int>(wide);
  return true;
}

bool read(value v, ConditionStatus& out) {
  std::string name;
  if (!read(v, name)) return false;
  if (name.empty()) return true;
  const auto known = goenv::enum_value<ConditionStatus>(name);
  if (known) out = *known;
  return known.has_value();
}

/// Calls `use(key, value)` for each member.
template <class Use>
bool each_member(object members, Use use) {
  for (auto member : members) {
    std::string_view key;
    value item;
    if (member.unescaped_key().get(key) != SUCCESS || member.value().get(item) != SUCCESS ||
        !use(key, item)) {
      return false;
    }
  }
  return true;
}

template <class Use>
bool read_object(value v, Use use) {
  bool failed = false;
  if (is_null(v, failed)) return true;
  object members;
  return !failed && v.get_object().get(members) == SUCCESS && each_member(members, use);
}

/// Calls `use(item, key, value)` for each member of each object of a list; `item` is a new one of
/// `out` for each object.
template <class Item, class Use>
bool read_list(value v, std::vector<Item>& out, Use use) {
  bool failed = false;
  if (is_null(v, failed)) return true;
  array list;
  if (failed || v.get_array().get(list) != SUCCESS) return false;
  out.clear();
  for (auto element : list) {
    object members;
    if (element.get_object().get(members) != SUCCESS) return false;
    Item& item = out.emplace_back();
    if (!each_member(members, [&](auto key, value m) { return use(item, key, m); })) return false;
  }
  return true;
}

bool read_condition(Condition& out, std::string_view key, value v) {
  if (key == "type") return read(v, out.type);
  if (key == "status") return read(v, out.status);
  if (key == "observedGeneration") return read_number(v, out.observed_generation);
  if (key == "lastTransitionTime") return read(v, out.last_transition_time);
  if (key == "reason") return read(v, out.reason);
  if (key == "message") return read(v, out.message);
  return true;
}

bool read_record(RevisionRecord& out, std::string_view key, value v) {
  if (key == "name") return read(v, out.name);
  if (key == "generation") return read_number(v, out.generation);
  if (key == "toolchain") return read(v, out.toolchain);
  if (key == "rendererVersion") return read(v, out.renderer_version);
  if (key == "supersededAt") return read(v, out.superseded_at);
  if (key == "uid") return read(v, out.uid);
  return true;
}

bool read_sum(goenv::ToolchainSum& out, std::string_view key, value v) {
  if (key == "os") return read(v, out.os);
  if (key == "arch") return read(v, out.arch);
  if (key == "sum") return read(v, out.sum);
  return true;
}

bool read_toolchain(ResolvedToolchain& out, std::string_view key, value v) {
  if (key == "requested") return read(v, out.requested);
  if (key == "version") return read(v, out.version);
  if (key == "resolveToken") return read(v, out.resolve_token);
  if (key == "sums") return read_list(v, out.sums, read_sum);
  return true;
}

bool read_pair(value v, std::string_view first, std::int32_t& a, std::string_view second,
               std::int32_t& b) {
  return read_object(v, [&](auto key, value m) {
    if (key == first) return read_number(m, a);
    if (key == second) return read_number(m, b);
    return true;
  });
}

bool read_member(Status& out, std::string_view key, value v) {
  if (key == "observedGeneration") return read_number(v, out.observed_generation);
  if (key == "conditions") return read_list(v, out.conditions, read_condition);
  if (key == "revisions") {
    return read_object(v, [&](auto name, value m) {
      if (name == "current") return read(m, out.current);
      if (name == "updated") return read(m, out.updated);
      return true;
    });
  }
  if (key == "history") return read_list(v, out.history, read_record);
  if (key == "toolchain") {
    return read_object(v,
                       [&](auto name, value m) { return read_toolchain(out.toolchain, name, m); });
  }
  if (key == "nodes") return read_pair(v, "ready", out.nodes_ready, "desired", out.nodes_desired);
  if (key == "pods") return read_pair(v, "injected", out.pods_injected, "missed", out.pods_missed);
  return true;
}

}  // namespace

std::optional<Status> read_status(std::string_view status_json) {
  thread_local simdjson::ondemand::parser parser;
  const simdjson::padded_string padded(status_json);
  simdjson::ondemand::document document;
  object members;
  if (parser.iterate(padded).get(document) != SUCCESS ||
      document.get_object().get(members) != SUCCESS) {
    return std::nullopt;
  }
  Status out;
  if (!each_member(members, [&](auto key, value v) { return read_member(out, key, v); })) {
    return std::nullopt;
  }
  return out;
}

}  // namespace gobuildenv::crds
