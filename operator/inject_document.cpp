#include "operator/inject_document.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>

#include "goenv/text.hpp"

namespace gobuildenv::cli {

namespace {

using Json = nlohmann::json;

/// Members of objects and items of lists; null where there is none, or `from` is neither.
const Json& at(const Json& from, const char* key) {
  static const Json kNone;
  const auto found = from.find(key);
  return found == from.end() ? kNone : *found;
}

void must_be_string(const Json& value, const std::string& path, std::string& errors) {
  if (value.is_string() || value.is_null()) return;
  errors += fmt::format("\n  {}: must be a string: put it in quotes (is: {})", path,
                        goenv::printable(value.dump()));
}

/// What of the template is no string although admission reads one: one line each.
std::string unquoted(const Json& pod, const std::string& path) {
  std::string errors;
  const Json& labels = at(at(pod, "metadata"), "labels");
  if (labels.is_object()) {
    for (const auto& [name, value] : labels.items()) {
      must_be_string(value, path + "metadata.labels." + name, errors);
    }
  }
  for (const char* list : {"initContainers", "containers"}) {
    const Json& containers = at(at(pod, "spec"), list);
    for (std::size_t i = 0; containers.is_array() && i < containers.size(); ++i) {
      const Json& variables = at(containers[i], "env");
      for (std::size_t j = 0; variables.is_array() && j < variables.size(); ++j) {
        for (const char* field : {"name", "value"}) {
          must_be_string(at(variables[j], field),
                         fmt::format("{}spec.{}[{}].env[{}].{}", path, list, i, j, field), errors);
        }
      }
    }
  }
  return errors;
}

}  // namespace

tl::expected<webhooks::TemplateInjection, std::string> inject_document(
    const Document& document, std::string_view pointer, const std::string& ns,
    const webhooks::EnvironmentLookup& lookup) {
  const auto named = [&document](const std::string& what) {
    return tl::unexpected(
        fmt::format("{}: {} {}: {}", document.source, document.kind, document.name, what));
  };
  const Json json = Json::parse(document.json, nullptr, false);
  const Json::json_pointer where{std::string(pointer)};
  if (json.contains(where)) {
    std::string path;
    if (!pointer.empty()) {
      path = std::string(pointer.substr(1)) + ".";
      std::replace(path.begin(), path.end(), '/', '.');
    }
    const std::string errors = unquoted(json[where], path);
    if (!errors.empty()) return named("not as an API server takes it:" + errors);
  }
  auto injection = webhooks::inject_pod_template(
      document.json, pointer, document.ns.empty() ? ns : document.ns, lookup, {});
  if (!injection) return named(injection.error());
  return std::move(*injection);
}

}  // namespace gobuildenv::cli
