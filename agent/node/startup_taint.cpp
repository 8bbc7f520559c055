#include "agent/node/startup_taint.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace gobuildenv::agent {
namespace {

using Json = nlohmann::json;

const kube::ResourceType kNodeType{"", "v1", "nodes", "Node", false};
/// The kubelet writes its Node every few seconds, but hardly its taints.
constexpr int kTries = 5;

std::string text(const Json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

}  // namespace

tl::expected<Taint, std::string> parse_taint(std::string_view given) {
  Taint out;
  const std::size_t colon = given.rfind(':');
  if (colon != std::string_view::npos) {
    out.effect = given.substr(colon + 1);
    const std::string_view head = given.substr(0, colon);
    const std::size_t equals = head.find('=');
    out.key = head.substr(0, equals);
    if (equals != std::string_view::npos) out.value = head.substr(equals + 1);
  }
  const bool known =
      out.effect == "NoSchedule" || out.effect == "PreferNoSchedule" || out.effect == "NoExecute";
  if (out.key.empty() || !known) {
    return tl::unexpected(fmt::format(
        "\"{}\" is no taint: write \"key:Effect\" or \"key=value:Effect\", Effect being "
        "NoSchedule, PreferNoSchedule or NoExecute",
        given));
  }
  return out;
}

std::optional<std::string> untaint_patch(std::string_view node_json, const Taint& taint) {
  const Json node = Json::parse(node_json, nullptr, false);
  const Json::json_pointer list("/spec/taints");
  if (!node.is_object() || !node.contains(list) || !node[list].is_array()) return std::nullopt;
  const Json& taints = node[list];
  for (std::size_t i = 0; i < taints.size(); ++i) {
    if (!taints[i].is_object() || text(taints[i], "key") != taint.key ||
        text(taints[i], "effect") != taint.effect ||
        (!taint.value.empty() && text(taints[i], "value") != taint.value)) {
      continue;
    }
    const std::string path = fmt::format("/spec/taints/{}", i);
    return Json::array({{{"op", "test"}, {"path", path}, {"value", taints[i]}},
                        {{"op", "remove"}, {"path", path}}})
        .dump();
  }
  return std::nullopt;
}

tl::expected<bool, kube::Error> remove_taint(kube::Client& client, const std::string& node,
                                             const Taint& taint, kube::Deadline deadline) {
  bool removed = false;
  kube::Error last;
  for (int i = 0; i < kTries; ++i) {
    const auto json = client.get(kNodeType, {{}, node}, deadline);
    if (!json) return tl::unexpected(json.error());
    const auto patch = untaint_patch(*json, taint);
    if (!patch) return removed;
    const auto done =
        client.patch(kNodeType, {{}, node}, *patch, "application/json-patch+json", "", deadline);
    // A test that fails is Invalid: the list is another one now. A node may have it twice.
    if (done) {
      removed = true;
    } else if (done.error().kind == kube::Error::Kind::Invalid ||
               done.error().kind == kube::Error::Kind::Conflict) {
      last = done.error();
    } else {
      return tl::unexpected(done.error());
    }
  }
  return tl::unexpected(last);
}

}  // namespace gobuildenv::agent
