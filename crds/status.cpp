#include <algorithm>
#include <nlohmann/json.hpp>

#include "crds/json_reader.hpp"
#include "crds/object_codec.hpp"

namespace gobuildenv::goenv {

template <>
struct EnumNames<crds::ConditionStatus> {
  static constexpr std::array kNames{
      std::pair{crds::ConditionStatus::Unknown, std::string_view{"Unknown"}},
      std::pair{crds::ConditionStatus::True, std::string_view{"True"}},
      std::pair{crds::ConditionStatus::False, std::string_view{"False"}}};
};

}  // namespace gobuildenv::goenv

namespace gobuildenv::crds {
namespace {

using Json = nlohmann::ordered_json;

void put(Json& out, const char* key, const std::string& value) {
  if (!value.empty()) out[key] = value;
}

Json sums_to_json(const std::vector<goenv::ToolchainSum>& sums) {
  Json out = Json::array();
  for (const auto& s : sums) out.push_back(Json{{"os", s.os}, {"arch", s.arch}, {"sum", s.sum}});
  return out;
}

Json toolchain_to_json(const ResolvedToolchain& in) {
  Json out = Json::object();
  put(out, "requested", in.requested);
  put(out, "version", in.version);
  put(out, "resolveToken", in.resolve_token);
  if (!in.sums.empty()) out["sums"] = sums_to_json(in.sums);
  return out;
}

Json condition_to_json(const Condition& c) {
  return Json{{"type", c.type},
              {"status", goenv::enum_name(c.status)},
              {"observedGeneration", c.observed_generation},
              {"lastTransitionTime", c.last_transition_time},
              {"reason", c.reason},
              {"message", c.message}};
}

Json record_to_json(const RevisionRecord& r) {
  Json out{{"name", r.name}, {"generation", r.generation}};
  put(out, "toolchain", r.toolchain);
  put(out, "rendererVersion", r.renderer_version);
  put(out, "supersededAt", r.superseded_at);
  put(out, "uid", r.uid);
  return out;
}

}  // namespace

bool operator==(const ResolvedToolchain& a, const ResolvedToolchain& b) {
  const auto same_sum = [](const goenv::ToolchainSum& x, const goenv::ToolchainSum& y) {
    return x.os == y.os && x.arch == y.arch && x.sum == y.sum;
  };
  return a.requested == b.requested && a.version == b.version &&
         a.resolve_token == b.resolve_token &&
         std::equal(a.sums.begin(), a.sums.end(), b.sums.begin(), b.sums.end(), same_sum);
}

const Condition* Status::find(std::string_view type) const {
  const auto it = std::find_if(conditions.begin(), conditions.end(),
                               [&](const Condition& c) { return c.type == type; });
  return it == conditions.end() ? nullptr : &*it;
}

Status read_status(JsonReader r) {
  Status out;
  r.integer("observedGeneration", out.observed_generation);
  r.objects("conditions", [&](JsonReader& item) {
    auto& c = out.conditions.emplace_back();
    item.text("type", c.type);
    item.enumeration("status", c.status);
    item.integer("observedGeneration", c.observed_generation);
    item.text("lastTransitionTime", c.last_transition_time);
    item.text("reason", c.reason);
    item.text("message", c.message);
  });
  if (auto revisions = r.object("revisions")) {
    revisions->text("current", out.current);
    revisions->text("updated", out.updated);
  }
  r.objects("history", [&](JsonReader& item) {
    auto& record = out.history.emplace_back();
    item.text("name", record.name);
    item.integer("generation", record.generation);
    item.text("toolchain", record.toolchain);
    item.text("rendererVersion", record.renderer_version);
    item.text("supersededAt", record.superseded_at);
    item.text("uid", record.uid);
  });
  if (auto toolchain = r.object("toolchain")) {
    toolchain->text("requested", out.toolchain.requested);
    toolchain->text("version", out.toolchain.version);
    toolchain->text("resolveToken", out.toolchain.resolve_token);
    toolchain->objects("sums", [&](JsonReader& item) {
      auto& sum = out.toolchain.sums.emplace_back();
      item.text("os", sum.os);
      item.text("arch", sum.arch);
      item.text("sum", sum.sum);
    });
  }
  if (auto nodes = r.object("nodes")) {
    nodes->integer("ready", out.nodes_ready);
    nodes->integer("desired", out.nodes_desired);
  }
  if (auto pods = r.object("pods")) {
    pods->integer("injected", out.pods_injected);
    pods->integer("missed", out.pods_missed);
  }
  return out;
}

nlohmann::ordered_json status_to_json(const Status& status) {
  Json out = Json::object();
  out["observedGeneration"] = status.observed_generation;
  out["conditions"] = Json::array();
  for (const auto& c : status.conditions) out["conditions"].push_back(condition_to_json(c));
  Json revisions = Json::object();
  put(revisions, "current", status.current);
  put(revisions, "updated", status.updated);
  if (!revisions.empty()) out["revisions"] = std::move(revisions);
  for (const auto& record : status.history) out["history"].push_back(record_to_json(record));
  if (Json toolchain = toolchain_to_json(status.toolchain); !toolchain.empty()) {
    out["toolchain"] = std::move(toolchain);
  }
  out["nodes"] = Json{{"ready", status.nodes_ready}, {"desired", status.nodes_desired}};
  out["pods"] = Json{{"injected", status.pods_injected}, {"missed", status.pods_missed}};
  return out;
}

std::string encode_status(const Status& status) {
  return status_to_json(status).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string encode_status_apply(const Metadata& metadata, const Status& status) {
  Json out = Json::object();
  out["apiVersion"] = kApiVersion;
  out["kind"] = kKind;
  out["metadata"]["name"] = metadata.name;
  out["metadata"]["namespace"] = metadata.ns;
  // The UID makes the write fail rather than land on a new object of the same name.
  put(out["metadata"], "uid", metadata.uid);
  out["status"] = status_to_json(status);
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace gobuildenv::crds
