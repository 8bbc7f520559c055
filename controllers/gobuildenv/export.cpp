#include "controllers/gobuildenv/export.hpp"

#include <fmt/format.h>

#include "goenv/names.hpp"
#include "goenv/pod_plan.hpp"
#include "goenv/render_env.hpp"

namespace gobuildenv::controllers {

namespace {

bool points_into_mount(std::string_view value) {
  return value.find(goenv::kFilesPath) != std::string_view::npos ||
         value.find(goenv::kCachePath) != std::string_view::npos ||
         value.find(goenv::kToolchainPath) != std::string_view::npos;
}

/// git reads these together and refuses to run when one is missing.
bool is_git_config(std::string_view name) { return name.starts_with("GIT_CONFIG_"); }

}  // namespace

std::map<std::string, std::string> exported_variables(std::string_view pod_json) {
  std::map<std::string, std::string> out;
  const auto plan = goenv::decode_pod_plan(pod_json);
  if (!plan) return out;
  bool git = true;
  const auto add = [&](const std::string& name, const std::string& value) {
    if (!points_into_mount(value)) {
      // Kubernetes expands `env`, not what `envFrom` takes over.
      out[name] = goenv::from_pod_literal(value);
    } else if (is_git_config(name)) {
      git = false;
    }
  };
  for (const goenv::EnvVar& variable : plan->env) add(variable.name, variable.value);
  // No launcher is mounted either.
  for (const goenv::LauncherVar& variable : plan->launcher_env) {
    if (variable.value) add(variable.name, *variable.value);
  }
  if (!git) std::erase_if(out, [](const auto& entry) { return is_git_config(entry.first); });
  return out;
}

Export decide_export(const EnvironmentFacts& facts, const std::string& current,
                     std::string_view pod_json, const goenv::Sha256Hex& sha256) {
  Export out;
  out.wanted = !facts.export_name.empty();
  const ConfigMapFact* present = nullptr;
  for (const ConfigMapFact& fact : facts.config_maps) {
    if (fact.name == facts.export_name) {
      present = &fact;
    } else if (fact.is_export && fact.ownership == Ownership::Ours && !fact.deleting) {
      out.deletes.push_back({fact.name, fact.uid, "export"});
    }
  }
  if (!out.wanted) {
    out.condition_known = true;
    return out;
  }
  if (current.empty() || pod_json.empty()) return out;

  CreateConfigMap wanted{.name = facts.export_name,
                         .salt = {},
                         .is_export = true,
                         .hash = {},
                         .revision = current,
                         .replaces = {},
                         .data = exported_variables(pod_json)};
  wanted.hash = goenv::content_hash(wanted.data, "", sha256);
  if (present == nullptr) {
    out.condition_known = true;
    out.create = std::move(wanted);
  } else if (present->ownership != Ownership::Ours || !present->is_export) {
    out.condition_known = true;
    out.blocked_by = fmt::format(
        "ConfigMap {} exists and is not controlled by this GoBuildEnv; delete it or choose another "
        "name in spec.export.configMapName",
        facts.export_name);
  } else if (!present->deleting) {
    out.condition_known = true;
    if (!present->intact || present->hash != wanted.hash || present->revision != current) {
      wanted.replaces = present->resource_version;
      out.create = std::move(wanted);
    }
  }
  return out;
}

}  // namespace gobuildenv::controllers
