#include "agent/collector/agent_facts.hpp"

#include <nlohmann/json.hpp>

namespace gobuildenv::agent::collector {

using Json = nlohmann::json;

namespace {

constexpr const char* kGdsf = "gdsf";

Json json_of(const Retention& retention) {
  return {{"unusedForSeconds", retention.unused_for.count()}, {"maxBytes", retention.max_bytes}};
}

Retention retention_of(const Json& json) {
  return {.unused_for = seconds(json.at("unusedForSeconds").get<std::int64_t>()),
          .max_bytes = json.at("maxBytes").get<std::uint64_t>()};
}

Json json_of(const Limits& limits) {
  Json environments = Json::object();
  for (const auto& [name, retention] : limits.environments) environments[name] = json_of(retention);
  return {{"node", json_of(limits.node)},
          {"environments", environments},
          {"environmentsComplete", limits.environments_complete},
          {"highPercent", limits.high_percent},
          {"lowPercent", limits.low_percent},
          {"minIdleSeconds", limits.min_idle.count()},
          {"longestBuildSeconds", limits.longest_build.count()},
          {"order", limits.order == Order::LeastRecentlyUsed ? "lru" : kGdsf}};
}

Limits limits_of(const Json& json) {
  Limits out;
  out.node = retention_of(json.at("node"));
  for (const auto& [name, retention] : json.at("environments").items()) {
    out.environments.emplace(name, retention_of(retention));
  }
  out.environments_complete = json.value("environmentsComplete", false);
  out.high_percent = json.at("highPercent").get<unsigned>();
  out.low_percent = json.at("lowPercent").get<unsigned>();
  out.min_idle = seconds(json.at("minIdleSeconds").get<std::int64_t>());
  out.longest_build = seconds(json.at("longestBuildSeconds").get<std::int64_t>());
  out.order = json.at("order").get<std::string>() == kGdsf ? Order::GreedyDualSizeFrequency
                                                           : Order::LeastRecentlyUsed;
  return out;
}

Json json_of(const std::vector<Root>& roots) {
  Json out = Json::array();
  for (const Root& root : roots) out.push_back({{"path", root.path}, {"why", root.why}});
  return out;
}

std::vector<Root> roots_of(const Json& json) {
  std::vector<Root> out;
  for (const Json& root : json) {
    out.push_back({root.at("path").get<std::string>(), root.at("why").get<std::string>()});
  }
  return out;
}

}  // namespace

std::string to_json(const AgentFacts& facts) {
  Json out = {{"version", 1},
              {"writtenAt", facts.written_at},
              {"limits", json_of(facts.limits)},
              {"roots", json_of(facts.roots)}};
  if (facts.last_known) {
    out["lastKnown"] = {{"pods", facts.last_known->pods},
                        {"roots", json_of(facts.last_known->roots)}};
  }
  return out.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

tl::expected<AgentFacts, std::string> parse_agent_facts(std::string_view text) {
  try {
    const Json in = Json::parse(text);
    AgentFacts out;
    out.written_at = in.at("writtenAt").get<std::int64_t>();
    out.limits = limits_of(in.at("limits"));
    out.roots = roots_of(in.at("roots"));
    if (const auto known = in.find("lastKnown"); known != in.end()) {
      out.last_known = {known->at("pods").get<std::vector<std::string>>(),
                        roots_of(known->at("roots"))};
    }
    if (auto error = out.limits.error()) return tl::unexpected(*error);
    return out;
  } catch (const Json::exception& error) {
    return tl::unexpected(std::string("not the agent's facts: ") + error.what());
  }
}

}  // namespace gobuildenv::agent::collector
