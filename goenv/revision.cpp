#include "goenv/revision.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "goenv/names.hpp"
#include "goenv/render_env.hpp"
#include "goenv/render_scripts.hpp"

namespace gobuildenv::goenv {

const std::string_view kRendererVersion = "2";

namespace {

void add_file(std::vector<FileMount>& files, std::string_view key, std::string path) {
  const bool there = std::any_of(files.begin(), files.end(),
                                 [&path](const FileMount& file) { return file.path == path; });
  if (!there) files.push_back({.key = std::string(key), .path = std::move(path)});
}

/// The directories whose `go` and `gofmt` the launcher hides.
std::vector<std::string> launcher_directories(const Spec& spec, const std::string& named) {
  if (spec.injection.launcher_paths) return *spec.injection.launcher_paths;
  std::vector<std::string> out{spec.conda.prefix + "/bin", "/usr/local/go/bin", "/usr/local/bin"};
  if (!named.empty()) out.push_back(named + "/bin");
  return out;
}

std::vector<FileMount> file_mounts(const Spec& spec) {
  std::vector<FileMount> files;
  // Only where the image is known to hold it: a mount would create the folder of an environment
  // that `conda create` then refuses to make.
  const std::string named = spec.conda.environment.empty() || !spec.conda.environment_exists
                                ? std::string()
                                : spec.conda.prefix + "/envs/" + spec.conda.environment;
  if (spec.toolchain.delivery == Delivery::Volume) {
    for (const std::string& directory : launcher_directories(spec, named)) {
      add_file(files, "go", directory + "/go");
      add_file(files, "go", directory + "/gofmt");
    }
  }
  if (spec.conda.activation == Activation::Hook) {
    for (const std::string& prefix : {spec.conda.prefix, named}) {
      if (prefix.empty()) continue;
      add_file(files, "activate.sh", prefix + "/etc/conda/activate.d/zzz-gobuildenv.sh");
      add_file(files, "deactivate.sh", prefix + "/etc/conda/deactivate.d/zzz-gobuildenv.sh");
    }
  }
  return files;
}

std::vector<CacheMount> cache_mounts(const Spec& spec) {
  const auto mount = [](std::string_view volume, std::string_view directory, std::string_view kind,
                        CacheScope scope) {
    return CacheMount{.volume = fmt::format("{}{}", kVolumePrefix, volume),
                      .mount_path = fmt::format("{}/{}", kCachePath, directory),
                      .kind = std::string(kind),
                      .scope = scope};
  };
  std::vector<CacheMount> caches{mount("modcache", "mod", "modules", spec.cache.modules),
                                 mount("buildcache", "build", "build", spec.cache.build)};
  if (spec.workspace.go_path.empty()) {
    caches.push_back(mount("work", "work", "work", CacheScope::Pod));
  }
  return caches;
}

PodPlan make_plan(const Spec& spec, std::string_view toolchain_version, const DeclaredEnv& env) {
  PodPlan plan;
  plan.renderer = kRendererVersion;
  plan.toolchain = toolchain_version;
  plan.delivery = spec.toolchain.delivery;
  plan.cgo = spec.cgo.policy;
  plan.enforcement = spec.injection.enforcement;
  plan.preflight = spec.injection.preflight;
  for (const EnvVar& var : env.go) plan.env.push_back({var.name, pod_literal(var.value)});
  for (const EnvVar& var : env.shared) {
    if (spec.toolchain.delivery == Delivery::Volume) {
      plan.launcher_env.push_back({var.name, pod_literal(var.value)});
    } else {
      plan.env.push_back({var.name, pod_literal(var.value)});
    }
  }
  plan.files_path = kFilesPath;
  plan.files = file_mounts(spec);
  plan.caches = cache_mounts(spec);
  if (spec.toolchain.delivery == Delivery::Volume) plan.toolchain_path = kToolchainPath;
  if (!spec.modules.credentials_secret.empty()) {
    plan.credentials_secret = spec.modules.credentials_secret;
    plan.credentials_path = kCredentialsPath;
  }
  if (spec.modules.ca_bundle) {
    plan.ca_config_map = spec.modules.ca_bundle->name;
    plan.ca_key = spec.modules.ca_bundle->key;
    plan.ca_path = kCaPath;
  }
  plan.conda_base_image = spec.conda.base_image;
  plan.include = spec.injection.include;
  plan.exclude = spec.injection.exclude;
  return plan;
}

}  // namespace

Revision render(const Spec& spec, std::string_view toolchain_version,
                const RenderDefaults& defaults) {
  const DeclaredEnv env = declared_env(spec, toolchain_version, defaults);
  Revision revision;
  revision.plan = make_plan(spec, toolchain_version, env);
  revision.data = {
      {"activate.sh", activation_script(spec, toolchain_version, env)},
      {"deactivate.sh", deactivation_script(spec, env)},
      {"go", launcher_script(spec, toolchain_version, env)},
      {"go.env", go_env_file(spec, env)},
      {"pod.json", encode(revision.plan)},
      {"preflight.sh", preflight_script(spec)},
  };
  return revision;
}

std::string salt_of(int attempt) { return attempt == 0 ? std::string() : std::to_string(attempt); }

std::string content_hash(const std::map<std::string, std::string>& data, std::string_view salt,
                         const Sha256Hex& sha256) {
  std::string framed = fmt::format("{}:{}", salt.size(), salt);
  for (const auto& [key, value] : data) {
    fmt::format_to(std::back_inserter(framed), "{}:{}{}:{}", key.size(), key, value.size(), value);
  }
  return sha256(framed).substr(0, 10);
}

std::string config_map_name(std::string_view environment, std::string_view hash) {
  return fmt::format("{}-{}", environment, hash);
}

}  // namespace gobuildenv::goenv
