#include <algorithm>

#include "crds/condition_names.hpp"
#include "crds/gobuildenv.hpp"
#include "goenv/json_text.hpp"

namespace gobuildenv::crds {
namespace {

using goenv::append_key;
using goenv::append_member;
using goenv::append_nonempty;
using goenv::append_number;
using goenv::begin_item;

void append_condition(std::string& out, const Condition& c) {
  begin_item(out);
  append_member(out, "type", c.type);
  append_member(out, "status", goenv::enum_name(c.status));
  append_number(out, "observedGeneration", c.observed_generation);
  append_member(out, "lastTransitionTime", c.last_transition_time);
  append_member(out, "reason", c.reason);
  append_member(out, "message", c.message);
  out += '}';
}

void append_record(std::string& out, const RevisionRecord& r) {
  begin_item(out);
  append_member(out, "name", r.name);
  append_number(out, "generation", r.generation);
  append_nonempty(out, "toolchain", r.toolchain);
  append_nonempty(out, "rendererVersion", r.renderer_version);
  append_nonempty(out, "supersededAt", r.superseded_at);
  append_nonempty(out, "uid", r.uid);
  out += '}';
}

void append_toolchain(std::string& out, const ResolvedToolchain& in) {
  out += '{';
  append_nonempty(out, "requested", in.requested);
  append_nonempty(out, "version", in.version);
  append_nonempty(out, "resolveToken", in.resolve_token);
  if (!in.sums.empty()) {
    append_key(out, "sums");
    out += '[';
    for (const auto& s : in.sums) {
      begin_item(out);
      append_member(out, "os", s.os);
      append_member(out, "arch", s.arch);
      append_member(out, "sum", s.sum);
      out += '}';
    }
    out += ']';
  }
  out += '}';
}

/// Appends `"key":{"first":a,"second":b}`.
void append_pair(std::string& out, std::string_view key, std::string_view first, std::int32_t a,
                 std::string_view second, std::int32_t b) {
  append_key(out, key);
  out += '{';
  append_number(out, first, a);
  append_number(out, second, b);
  out += '}';
}

}  // namespace

bool operator==(const ResolvedToolchain& a, const ResolvedToolchain& b) {
  return a.requested == b.requested && a.version == b.version &&
         a.resolve_token == b.resolve_token && a.sums == b.sums;
}

const Condition* Status::find(std::string_view type) const {
  const auto it = std::find_if(conditions.begin(), conditions.end(),
                               [&](const Condition& c) { return c.type == type; });
  return it == conditions.end() ? nullptr : &*it;
}

std::string encode_status(const Status& status) {
  std::string out = "{";
  append_number(out, "observedGeneration", status.observed_generation);
  append_key(out, "conditions");
  out += '[';
  for (const auto& c : status.conditions) append_condition(out, c);
  out += ']';
  if (!status.current.empty() || !status.updated.empty()) {
    append_key(out, "revisions");
    out += '{';
    append_nonempty(out, "current", status.current);
    append_nonempty(out, "updated", status.updated);
    out += '}';
  }
  if (!status.history.empty()) {
    append_key(out, "history");
    out += '[';
    for (const auto& record : status.history) append_record(out, record);
    out += ']';
  }
  if (status.toolchain != ResolvedToolchain{}) {
    append_key(out, "toolchain");
    append_toolchain(out, status.toolchain);
  }
  if (status.nodes_ready != 0 || status.nodes_desired != 0) {
    append_pair(out, "nodes", "ready", status.nodes_ready, "desired", status.nodes_desired);
  }
  append_pair(out, "pods", "injected", status.pods_injected, "missed", status.pods_missed);
  out += '}';
  return out;
}

}  // namespace gobuildenv::crds
