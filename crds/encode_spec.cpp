#include <nlohmann/json.hpp>

#include "crds/object_codec.hpp"
#include "crds/scalars.hpp"
#include "goenv/enum_names.hpp"

namespace gobuildenv::crds {
namespace {

using Json = nlohmann::ordered_json;
using goenv::enum_name;

void put(Json& out, const char* key, const std::string& value) {
  if (!value.empty()) out[key] = value;
}

void put(Json& out, const char* key, const std::vector<std::string>& values) {
  if (!values.empty()) out[key] = values;
}

void put(Json& out, const char* key, Json value) {
  if (!value.empty()) out[key] = std::move(value);
}

Json text_map(const std::map<std::string, std::string>& map) {
  Json out = Json::object();
  for (const auto& [name, value] : map) out[name] = value;
  return out;
}

Json toolchain(const goenv::Toolchain& in) {
  Json out = Json::object();
  out["version"] = in.version;
  out["delivery"] = enum_name(in.delivery);
  out["switching"] = enum_name(in.switching);
  for (const auto& sum : in.sums) {
    out["sums"].push_back(Json{{"os", sum.os}, {"arch", sum.arch}, {"sum", sum.sum}});
  }
  return out;
}

Json cgo(const goenv::Cgo& in) {
  Json out = Json::object();
  out["policy"] = enum_name(in.policy);
  put(out, "cc", in.cc);
  put(out, "cxx", in.cxx);
  put(out, "cflags", in.cflags);
  put(out, "cxxflags", in.cxxflags);
  put(out, "ldflags", in.ldflags);
  put(out, "pkgConfigPath", in.pkg_config_path);
  return out;
}

Json modules(const goenv::Modules& in) {
  Json out = Json::object();
  for (const auto& proxy : in.proxies) {
    Json item{{"url", proxy.url}};
    // No default inside list items: NotFound is what an absent `fallback` means.
    if (proxy.fallback != goenv::ProxyFallback::NotFound) {
      item["fallback"] = enum_name(proxy.fallback);
    }
    out["proxies"].push_back(std::move(item));
  }
  put(out, "private", in.private_patterns);
  put(out, "goNoProxy", in.go_no_proxy);
  put(out, "noSumDB", in.no_sum_db);
  put(out, "sumDB", in.sum_db);
  if (!in.credentials_secret.empty()) {
    out["credentialsSecretRef"] = {{"name", in.credentials_secret}};
  }
  if (in.ca_bundle) {
    out["caBundle"]["configMapKeyRef"] = {{"name", in.ca_bundle->name}, {"key", in.ca_bundle->key}};
  }
  put(out, "httpProxy", in.http_proxy);
  put(out, "httpsProxy", in.https_proxy);
  put(out, "noProxy", in.no_proxy);
  return out;
}

Json conda(const goenv::Conda& in) {
  Json out = Json::object();
  put(out, "baseImage", in.base_image);
  out["prefix"] = in.prefix;
  put(out, "environment", in.environment);
  out["environmentExists"] = in.environment_exists;
  out["activation"] = enum_name(in.activation);
  return out;
}

Json workspace(const goenv::Workspace& in) {
  Json out = Json::object();
  put(out, "goPath", in.go_path);
  put(out, "goBin", in.go_bin);
  out["goWork"]["mode"] = enum_name(in.go_work.mode);
  put(out["goWork"], "path", in.go_work.path);
  return out;
}

Json cache(const goenv::Cache& in) {
  Json out = Json::object();
  out["modules"]["scope"] = enum_name(in.modules);
  out["build"]["scope"] = enum_name(in.build);
  put(out, "trustedServiceAccounts", in.trusted_service_accounts);
  out["retention"]["unusedFor"] = format_duration(in.unused_for);
  out["retention"]["maxSize"] = format_quantity(in.max_size_bytes);
  return out;
}

Json pod_selector(const goenv::PodSelector& in) {
  Json out = Json::object();
  put(out, "matchLabels", text_map(in.match_labels));
  for (const auto& requirement : in.match_expressions) {
    Json item{{"key", requirement.key}, {"operator", requirement.op}};
    put(item, "values", requirement.values);
    out["matchExpressions"].push_back(std::move(item));
  }
  return out;
}

Json injection(const goenv::Injection& in) {
  Json out = Json::object();
  if (in.pod_selector) out["podSelector"] = pod_selector(*in.pod_selector);
  Json containers = Json::object();
  put(containers, "include", in.include);
  put(containers, "exclude", in.exclude);
  put(out, "containers", std::move(containers));
  out["enforcement"] = enum_name(in.enforcement);
  out["preflight"] = enum_name(in.preflight);
  // An empty list says something: no launcher anywhere.
  if (in.launcher_paths) out["launcherPaths"] = *in.launcher_paths;
  return out;
}

}  // namespace

nlohmann::ordered_json spec_to_json(const goenv::Spec& spec) {
  Json out = Json::object();
  out["toolchain"] = toolchain(spec.toolchain);
  out["cgo"] = cgo(spec.cgo);
  put(out, "flags", spec.flags);
  for (const auto& platform : spec.platforms) {
    out["platforms"].push_back(Json{{"os", platform.os}, {"arch", platform.arch}});
  }
  put(out, "modules", modules(spec.modules));
  out["conda"] = conda(spec.conda);
  out["workspace"] = workspace(spec.workspace);
  out["cache"] = cache(spec.cache);
  put(out, "variables", text_map(spec.variables));
  out["injection"] = injection(spec.injection);
  if (!spec.export_config_map.empty()) out["export"]["configMapName"] = spec.export_config_map;
  out["revisionHistoryLimit"] = spec.revision_history_limit;
  return out;
}

std::string encode_spec(const goenv::Spec& spec) {
  // Invalid UTF-8 cannot come from JSON; from elsewhere it is replaced rather than thrown over.
  return spec_to_json(spec).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace gobuildenv::crds
