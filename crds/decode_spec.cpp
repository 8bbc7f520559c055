#include <nlohmann/json.hpp>

#include "crds/json_reader.hpp"
#include "crds/object_codec.hpp"
#include "crds/scalars.hpp"

namespace gobuildenv::crds {
namespace {

using goenv::Spec;

void read_toolchain(JsonReader r, goenv::Toolchain& out) {
  if (const auto* v = r.member("version"); v != nullptr && v->is_number()) {
    // YAML makes a number of an unquoted 1.20, and the last digit is gone before anyone sees it.
    r.fail(r.child("version"), *v,
           "must be a string: quote it, as in version: \"1.20\"; without quotes YAML reads 1.20 as "
           "the number 1.2");
  } else {
    r.text("version", out.version);
  }
  r.enumeration("delivery", out.delivery);
  r.enumeration("switching", out.switching);
  r.objects("sums", [&](JsonReader& item) {
    auto& sum = out.sums.emplace_back();
    item.text("os", sum.os);
    item.text("arch", sum.arch);
    item.text("sum", sum.sum);
  });
}

void read_cgo(JsonReader r, goenv::Cgo& out) {
  r.enumeration("policy", out.policy);
  r.text("cc", out.cc);
  r.text("cxx", out.cxx);
  r.texts("cflags", out.cflags);
  r.texts("cxxflags", out.cxxflags);
  r.texts("ldflags", out.ldflags);
  r.text("pkgConfigPath", out.pkg_config_path);
}

void read_modules(JsonReader r, goenv::Modules& out) {
  r.objects("proxies", [&](JsonReader& item) {
    auto& proxy = out.proxies.emplace_back();
    item.text("url", proxy.url);
    item.enumeration("fallback", proxy.fallback);
  });
  r.texts("private", out.private_patterns);
  r.texts("goNoProxy", out.go_no_proxy);
  r.texts("noSumDB", out.no_sum_db);
  r.text("sumDB", out.sum_db);
  if (auto ref = r.object("credentialsSecretRef")) ref->text("name", out.credentials_secret);
  if (auto bundle = r.object("caBundle")) {
    if (auto ref = bundle->object("configMapKeyRef")) {
      auto& target = out.ca_bundle.emplace();
      ref->text("name", target.name);
      ref->text("key", target.key);
    }
  }
  r.text("httpProxy", out.http_proxy);
  r.text("httpsProxy", out.https_proxy);
  r.text("noProxy", out.no_proxy);
}

void read_conda(JsonReader r, goenv::Conda& out) {
  r.text("baseImage", out.base_image);
  r.text("prefix", out.prefix);
  r.text("environment", out.environment);
  r.flag("environmentExists", out.environment_exists);
  r.enumeration("activation", out.activation);
}

void read_workspace(JsonReader r, goenv::Workspace& out) {
  r.text("goPath", out.go_path);
  r.text("goBin", out.go_bin);
  if (auto work = r.object("goWork")) {
    work->enumeration("mode", out.go_work.mode);
    work->text("path", out.go_work.path);
  }
}

void read_retention(JsonReader r, goenv::Cache& out) {
  if (const auto* v = r.member("unusedFor")) {
    const auto parsed = v->is_string() ? parse_duration(v->get_ref<const std::string&>())
                                       : std::optional<std::chrono::seconds>{};
    if (parsed) {
      out.unused_for = *parsed;
    } else {
      r.fail(r.child("unusedFor"), *v, "must be a duration such as \"168h\" or \"90m\", in quotes");
    }
  }
  if (const auto* v = r.member("maxSize")) {
    std::optional<std::int64_t> parsed;
    if (v->is_string()) parsed = parse_quantity(v->get_ref<const std::string&>());
    if (v->is_number_integer()) parsed = parse_quantity(v->dump());
    if (parsed) {
      out.max_size_bytes = *parsed;
    } else {
      r.fail(r.child("maxSize"), *v, "must be a size such as \"20Gi\" or \"500M\"");
    }
  }
}

void read_cache(JsonReader r, goenv::Cache& out) {
  if (auto modules = r.object("modules")) modules->enumeration("scope", out.modules);
  if (auto build = r.object("build")) build->enumeration("scope", out.build);
  r.texts("trustedServiceAccounts", out.trusted_service_accounts);
  if (auto retention = r.object("retention")) read_retention(*retention, out);
}

void read_injection(JsonReader r, goenv::Injection& out) {
  if (auto selector = r.object("podSelector")) {
    auto& target = out.pod_selector.emplace();
    selector->text_map("matchLabels", target.match_labels);
    selector->objects("matchExpressions", [&](JsonReader& item) {
      auto& requirement = target.match_expressions.emplace_back();
      item.text("key", requirement.key);
      item.text("operator", requirement.op);
      item.texts("values", requirement.values);
    });
  }
  if (auto containers = r.object("containers")) {
    containers->texts("include", out.include);
    containers->texts("exclude", out.exclude);
  }
  r.enumeration("enforcement", out.enforcement);
  r.enumeration("preflight", out.preflight);
  if (r.member("launcherPaths") != nullptr) r.texts("launcherPaths", out.launcher_paths.emplace());
}

}  // namespace

goenv::Spec read_spec(JsonReader r) {
  Spec out;
  if (auto o = r.object("toolchain")) read_toolchain(*o, out.toolchain);
  if (auto o = r.object("cgo")) read_cgo(*o, out.cgo);
  r.texts("flags", out.flags);
  r.objects("platforms", [&](JsonReader& item) {
    auto& platform = out.platforms.emplace_back();
    item.text("os", platform.os);
    item.text("arch", platform.arch);
  });
  if (auto o = r.object("modules")) read_modules(*o, out.modules);
  if (auto o = r.object("conda")) read_conda(*o, out.conda);
  if (auto o = r.object("workspace")) read_workspace(*o, out.workspace);
  if (auto o = r.object("cache")) read_cache(*o, out.cache);
  r.text_map("variables", out.variables);
  if (auto o = r.object("injection")) read_injection(*o, out.injection);
  if (auto o = r.object("export")) o->text("configMapName", out.export_config_map);
  r.integer("revisionHistoryLimit", out.revision_history_limit);
  return out;
}

tl::expected<goenv::Spec, Errors> decode_spec(std::string_view spec_json) {
  const auto json = nlohmann::json::parse(spec_json, nullptr, false);
  Errors errors;
  if (!json.is_object()) {
    errors.push_back({"spec", "", "must be a JSON object"});
    return tl::unexpected(std::move(errors));
  }
  Spec spec = read_spec(JsonReader(json, "spec", errors));
  if (!errors.empty()) return tl::unexpected(std::move(errors));
  return spec;
}

}  // namespace gobuildenv::crds
