#include "operator/explain_output.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "goenv/names.hpp"

namespace gobuildenv::cli {

namespace {

using Json = nlohmann::ordered_json;
using webhooks::ContainerExplanation;
using webhooks::Explanation;

const char* word(webhooks::VariableOutcome outcome) {
  switch (outcome) {
    case webhooks::VariableOutcome::Added:
      return "set";
    case webhooks::VariableOutcome::Replaced:
      return "replaced";
    case webhooks::VariableOutcome::Same:
      return "as declared";
    case webhooks::VariableOutcome::ContainerWins:
      return "container's";
  }
  return "";
}

/// One line, shortened: values such as git helpers are long.
std::string shown(const std::string& value, std::size_t width) {
  std::string out;
  for (const char c : value) out += c == '\n' ? ' ' : c;
  if (out.size() > width) out = out.substr(0, width - 3) + "...";
  return out.empty() ? "(empty)" : out;
}

std::string container_text(const ContainerExplanation& container) {
  std::string out =
      fmt::format("\n{}container {}: {}\n",
                  container.list == webhooks::ContainerList::InitContainers ? "init " : "",
                  container.name, container.follows ? "follows the environment" : "left alone");
  if (!container.reason.empty()) out += fmt::format("  {}\n", container.reason);
  if (!container.image.empty()) out += fmt::format("  image: {}\n", container.image);
  std::size_t width = 0;
  for (const auto& variable : container.variables) width = std::max(width, variable.name.size());
  for (const auto& variable : container.variables) {
    out += fmt::format("  {:<{}}  {:<40}  {:<11}  {}\n", variable.name, width,
                       shown(variable.value, 40), word(variable.outcome), variable.why);
  }
  for (const auto& mount : container.mounts) {
    out +=
        fmt::format("  {}  from {}{}{}: {}\n", mount.path, mount.volume,
                    mount.sub_path.empty() ? "" : "/", mount.sub_path,
                    mount.why.empty() ? std::string(to_string(mount.outcome))
                                      : fmt::format("{}, {}", to_string(mount.outcome), mount.why));
  }
  for (const auto& note : container.notes) out += fmt::format("  note: {}\n", note);
  return out;
}

Json container_json(const ContainerExplanation& container) {
  Json out{{"name", container.name},
           {"init", container.list == webhooks::ContainerList::InitContainers},
           {"follows", container.follows},
           {"differs", container.differs}};
  if (!container.reason.empty()) out["reason"] = container.reason;
  if (!container.image.empty()) out["image"] = container.image;
  out["variables"] = Json::array();
  for (const auto& variable : container.variables) {
    out["variables"].push_back({{"name", variable.name},
                                {"value", variable.value},
                                {"outcome", to_string(variable.outcome)},
                                {"why", variable.why}});
  }
  out["mounts"] = Json::array();
  for (const auto& mount : container.mounts) {
    Json one{{"path", mount.path},
             {"volume", mount.volume},
             {"subPath", mount.sub_path},
             {"outcome", to_string(mount.outcome)}};
    if (!mount.why.empty()) one["why"] = mount.why;
    out["mounts"].push_back(std::move(one));
  }
  out["notes"] = container.notes;
  return out;
}

}  // namespace

std::optional<Binding> binding_of(const std::string& pod) {
  const auto json = Json::parse(pod, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto annotation = [&json](std::string_view key) {
    const auto metadata = json.value("metadata", Json::object());
    const auto annotations =
        metadata.is_object() ? metadata.value("annotations", Json::object()) : Json::object();
    const auto found = annotations.find(std::string(key));
    return found != annotations.end() && found->is_string() ? found->get<std::string>()
                                                            : std::string();
  };
  Binding binding{annotation(goenv::kEnvironmentAnnotation),
                  annotation(goenv::kRevisionAnnotation)};
  if (binding.environment.empty() || binding.revision.empty()) return std::nullopt;
  return binding;
}

bool holds(const Explained& explained) {
  const auto& containers = explained.explanation.containers;
  return explained.admitted.value_or(true) && !explained.explanation.refused &&
         std::any_of(containers.begin(), containers.end(),
                     [](const auto& container) { return container.follows; });
}

std::string explanation_text(const Explained& explained) {
  const Explanation& explanation = explained.explanation;
  std::string out = explained.subject + "\n";
  const bool selected = explanation.outcome == webhooks::Outcome::Selected;
  if (selected && explained.admitted == false) {
    out +=
        "The pod runs unchanged: it was created without the environment. What follows is what "
        "admission would do now; create the pod anew to get it.\n";
  }
  if (selected) {
    out += fmt::format("Environment {}, revision {} (ConfigMap {})\n", explanation.environment,
                       explanation.revision, explanation.config_map);
  } else {
    out += "No environment\n";
  }
  if (!explanation.reason.empty()) out += fmt::format("  {}\n", explanation.reason);
  if (explanation.refused) out += "  The pod would be refused.\n";
  for (const auto& container : explanation.containers) out += container_text(container);
  if (!explanation.warnings.empty()) out += "\n";
  for (const auto& warning : explanation.warnings) out += fmt::format("warning: {}\n", warning);
  return out;
}

std::string explanation_json(const Explained& explained) {
  const Explanation& explanation = explained.explanation;
  Json out{{"subject", explained.subject}, {"outcome", to_string(explanation.outcome)}};
  if (explained.admitted) out["admitted"] = *explained.admitted;
  if (!explanation.environment.empty()) out["environment"] = explanation.environment;
  if (!explanation.revision.empty()) {
    out["revision"] = explanation.revision;
    out["configMap"] = explanation.config_map;
  }
  if (!explanation.reason.empty()) out["reason"] = explanation.reason;
  out["refused"] = explanation.refused;
  out["containers"] = Json::array();
  for (const auto& container : explanation.containers) {
    out["containers"].push_back(container_json(container));
  }
  out["warnings"] = explanation.warnings;
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace gobuildenv::cli
