#include "goenv/validate.hpp"

#include <fmt/format.h>

#include <optional>
#include <set>

#include "goenv/enum_names.hpp"
#include "goenv/goflags.hpp"
#include "goenv/names.hpp"
#include "goenv/patterns.hpp"
#include "goenv/render_env.hpp"
#include "goenv/text.hpp"
#include "goenv/variables.hpp"
#include "goenv/version.hpp"

namespace gobuildenv::goenv {
namespace {

using Problem = std::optional<std::string>;

// The CRD's bounds on lists and numbers.
constexpr std::size_t kMaxItems = 64;
constexpr std::size_t kMaxProxies = 16;
constexpr std::size_t kMaxVariables = 32;
constexpr std::size_t kMaxLauncherPaths = 16;
constexpr std::size_t kMaxName = 52;
constexpr std::int32_t kMaxHistory = 100;
constexpr std::chrono::seconds kMinUnused{3600};
constexpr std::int64_t kMinSize = 1 << 20;

class Checker {
 public:
  std::vector<FieldError> errors;

  void add(std::string field, std::string_view value, std::string message) {
    errors.push_back({std::move(field), printable(value), std::move(message)});
  }

  void check(std::string_view field, std::string_view value, const Problem& problem) {
    if (problem) add(std::string(field), value, *problem);
  }

  /// Checks every item with `problem_of` and, for sets, that none is there twice.
  template <class ProblemOf>
  void items(std::string_view field, const std::vector<std::string>& list, std::size_t max,
             bool is_set, ProblemOf problem_of) {
    size(field, list.size(), max);
    std::set<std::string_view> seen;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const auto path = fmt::format("{}[{}]", field, i);
      check(path, list[i], problem_of(list[i]));
      if (is_set && !seen.insert(list[i]).second) add(path, list[i], "is there twice");
    }
  }

  void size(std::string_view field, std::size_t actual, std::size_t max) {
    if (actual > max) {
      add(std::string(field), fmt::format("{} items", actual),
          fmt::format("may have at most {} items", max));
    }
  }
};

/// GOOS or GOARCH: the toolchain decides whether it knows it.
Problem check_platform_word(std::string_view word) {
  const bool good = !word.empty() && word.size() <= 16 &&
                    all_of(word, [](char c) { return is_lower(c) || is_digit(c); });
  if (good) return std::nullopt;
  return "must be a GOOS or GOARCH in lower case, such as linux or amd64";
}

Problem check_quotable(const std::string& item) {
  const std::string one[] = {item};
  if (const auto joined = join_quoted(one); !joined) return joined.error();
  return std::nullopt;
}

std::optional<GoVersion> check_version(Checker& c, const Toolchain& in) {
  constexpr std::string_view kField = "spec.toolchain.version";
  if (in.version.empty()) {
    c.add(std::string(kField), "", "is missing: write a Go release in quotes, such as \"1.22.3\"");
    return std::nullopt;
  }
  const auto version = parse_version(in.version);
  if (!version) {
    c.add(std::string(kField), in.version, version.error());
    return std::nullopt;
  }
  if (*version < kMinimumGo) {
    c.add(std::string(kField), in.version,
          "is older than Go 1.18, the first with generics: write \"1.18\" or newer");
  } else if (to_string(*version) != in.version) {
    c.add(std::string(kField), in.version,
          fmt::format("before Go 1.21 the first release of a series has no patch number: write "
                      "\"{}\"",
                      to_string(*version)));
  }
  return *version;
}

std::optional<GoVersion> check_toolchain(Checker& c, const Spec& spec) {
  const Toolchain& in = spec.toolchain;
  const auto version = check_version(c, in);
  if (in.delivery == Delivery::Download && version && *version < kFirstSwitchingGo) {
    c.add("spec.toolchain.delivery", "Download",
          "needs Go 1.21 or newer: an older go ignores GOTOOLCHAIN without a word; use Volume");
  }
  if (in.delivery == Delivery::Download && spec.modules.sum_db == "off") {
    c.add("spec.modules.sumDB", "off",
          "makes go refuse to download a toolchain; use toolchain.delivery Volume, or name a "
          "checksum database");
  }
  if (!in.sums.empty() && version && version->is_range()) {
    c.add("spec.toolchain.sums", fmt::format("{} items", in.sums.size()),
          "pin the files of one release: write the version with its patch number, such as "
          "\"1.22.3\"");
  }
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (std::size_t i = 0; i < in.sums.size(); ++i) {
    const auto path = fmt::format("spec.toolchain.sums[{}]", i);
    const auto& sum = in.sums[i];
    c.check(path + ".os", sum.os, check_platform_word(sum.os));
    c.check(path + ".arch", sum.arch, check_platform_word(sum.arch));
    c.check(path + ".sum", sum.sum, check_h1(sum.sum));
    if (!seen.emplace(sum.os, sum.arch).second) {
      c.add(path, sum.os + "/" + sum.arch, "is there twice");
    }
  }
  return version;
}

void check_cgo(Checker& c, const Spec& spec) {
  const Cgo& in = spec.cgo;
  c.check("spec.cgo.cc", in.cc, check_compiler(in.cc));
  c.check("spec.cgo.cxx", in.cxx, check_compiler(in.cxx));
  c.items("spec.cgo.cflags", in.cflags, kMaxItems, false, check_quotable);
  c.items("spec.cgo.cxxflags", in.cxxflags, kMaxItems, false, check_quotable);
  c.items("spec.cgo.ldflags", in.ldflags, kMaxItems, false, check_quotable);
  if (in.pkg_config_path.empty()) return;
  for (const auto part : split(in.pkg_config_path, ':')) {
    if (const auto problem = check_path(part)) {
      c.add("spec.cgo.pkgConfigPath", in.pkg_config_path,
            "must be absolute directories joined with \":\"; one of them " + *problem);
      break;
    }
  }
}

void check_flags(Checker& c, const Spec& spec, const std::optional<GoVersion>& version) {
  c.items("spec.flags", spec.flags, kMaxItems, false, [&](const std::string& flag) {
    auto problem = check_flag(flag, version);
    return problem ? problem : check_quotable(flag);
  });
  if (spec.workspace.go_work.mode == GoWorkMode::Path) {
    const auto mod_file = flag_value(spec.flags, "modfile");
    // Without modules go takes any -mod, and knows no workspace.
    const auto modules = spec.variables.find("GO111MODULE");
    const bool with_modules = modules == spec.variables.end() || modules->second != "off";
    const auto mod = flag_value(spec.flags, "mod");
    if (with_modules && mod == "vendor" && version && *version < kFirstVendoredWorkspaceGo &&
        spec.toolchain.switching == Switching::Pinned) {
      c.add(
          "spec.flags", "-mod=vendor",
          "ends every go command before 1.22 in a workspace, which workspace.goWork.mode Path asks "
          "for: use Go 1.22 or later, another mode, or leave the flag out");
    }
    const bool edits = with_modules && mod == "mod";
    if (edits || !mod_file.empty()) {
      c.add("spec.flags", edits ? "-mod=mod" : fmt::format("-modfile={}", mod_file),
            "ends every go command in a workspace, which workspace.goWork.mode Path asks for: use "
            "another mode, or leave the flag out");
    }
  }
  if (spec.cgo.policy != CgoPolicy::Disabled) return;
  for (const std::string_view name : {"race", "msan", "asan"}) {
    if (flag_is_on(spec.flags, name)) {
      c.add("spec.flags", fmt::format("-{}", name),
            "needs cgo, which cgo.policy Disabled switches off: every build would fail; use policy "
            "Enabled, or leave the flag out");
    }
  }
  const auto mode = flag_value(spec.flags, "buildmode");
  if (mode.starts_with("c-") || mode == "shared" || mode == "plugin") {
    c.add("spec.flags", fmt::format("-buildmode={}", mode),
          "needs cgo, which cgo.policy Disabled switches off: every build would fail; use policy "
          "Enabled, or leave the flag out");
  }
}

void check_platforms(Checker& c, const Spec& spec) {
  c.size("spec.platforms", spec.platforms.size(), kMaxItems);
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (std::size_t i = 0; i < spec.platforms.size(); ++i) {
    const auto path = fmt::format("spec.platforms[{}]", i);
    const auto& [os, arch] = spec.platforms[i];
    c.check(path + ".os", os, check_platform_word(os));
    c.check(path + ".arch", arch, check_platform_word(arch));
    if (!seen.emplace(os, arch).second) c.add(path, os + "/" + arch, "is there twice");
  }
}

void check_proxies(Checker& c, const Modules& in) {
  c.size("spec.modules.proxies", in.proxies.size(), kMaxProxies);
  for (std::size_t i = 0; i < in.proxies.size(); ++i) {
    const std::string& url = in.proxies[i].url;
    const auto path = fmt::format("spec.modules.proxies[{}].url", i);
    if (const auto problem = check_proxy_url(url)) c.add(path, redact_url(url), *problem);
    if ((url == "direct" || url == "off") && i + 1 < in.proxies.size()) {
      c.add(path, url,
            fmt::format("go asks nothing after \"{}\": put it last, once, or leave it out", url));
    }
    if (!in.credentials_secret.empty() && url.starts_with("http://")) {
      c.add(path, redact_url(url),
            "credentialsSecretRef is never sent over http: use https:// for every proxy");
    }
  }
}

void check_modules(Checker& c, const Modules& in) {
  check_proxies(c, in);
  c.items("spec.modules.private", in.private_patterns, kMaxItems, true, check_pattern);
  c.items("spec.modules.goNoProxy", in.go_no_proxy, kMaxItems, true, check_pattern);
  c.items("spec.modules.noSumDB", in.no_sum_db, kMaxItems, true, check_pattern);
  if (const auto problem = check_sum_db(in.sum_db)) {
    const bool secret = in.sum_db.find('@') != std::string::npos;
    c.add("spec.modules.sumDB", secret ? "***" : in.sum_db, *problem);
  }
  if (!in.credentials_secret.empty()) {
    c.check("spec.modules.credentialsSecretRef.name", in.credentials_secret,
            check_object_name(in.credentials_secret));
  }
  if (in.ca_bundle) {
    c.check("spec.modules.caBundle.configMapKeyRef.name", in.ca_bundle->name,
            check_object_name(in.ca_bundle->name));
    c.check("spec.modules.caBundle.configMapKeyRef.key", in.ca_bundle->key,
            check_config_map_key(in.ca_bundle->key));
  }
  c.check("spec.modules.httpProxy", redact_url(in.http_proxy), check_http_proxy(in.http_proxy));
  c.check("spec.modules.httpsProxy", redact_url(in.https_proxy), check_http_proxy(in.https_proxy));
  c.check("spec.modules.noProxy", redact_url(in.no_proxy), check_no_proxy(in.no_proxy));
}

Problem check_conda_environment(std::string_view name) {
  const bool good =
      name.size() <= 128 && (is_alnum(name.front()) || name.front() == '_') &&
      all_of(name, [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; });
  if (good) return std::nullopt;
  return "is not the name of a conda environment (a path is not supported): use letters, digits, "
         "\"_\", \"-\" and \".\"";
}

/// A folder of the image in which files of ours are mounted. In a mount of ours they would hide the
/// toolchain, or have no place: the pod would not start.
Problem check_image_folder(std::string_view path) {
  if (auto problem = check_path(path)) return problem;
  for (const std::string_view ours :
       {kFilesPath, kToolchainPath, kCachePath, kCredentialsPath, kCaPath,
        std::string_view("/proc"), std::string_view("/sys"), std::string_view("/dev")}) {
    if (path == ours || (path.starts_with(ours) && path[ours.size()] == '/')) {
      return fmt::format("is in {}, which is mounted over the image: name a folder of the image",
                         ours);
    }
  }
  return std::nullopt;
}

void check_conda(Checker& c, const Conda& in) {
  if (!in.base_image.empty()) {
    c.check("spec.conda.baseImage", in.base_image, check_image(in.base_image));
  }
  c.check("spec.conda.prefix", in.prefix, check_image_folder(in.prefix));
  if (!in.environment.empty()) {
    c.check("spec.conda.environment", in.environment, check_conda_environment(in.environment));
  } else if (in.environment_exists) {
    c.add("spec.conda.environmentExists", "true", "says something about environment, so name one");
  }
}

void check_workspace(Checker& c, const Workspace& in) {
  if (!in.go_path.empty()) c.check("spec.workspace.goPath", in.go_path, check_path(in.go_path));
  if (!in.go_bin.empty()) c.check("spec.workspace.goBin", in.go_bin, check_path(in.go_bin));
  const bool needs_path = in.go_work.mode == GoWorkMode::Path;
  if (needs_path && in.go_work.path.empty()) {
    c.add("spec.workspace.goWork.path", "",
          "is missing: mode Path needs the absolute path of a go.work file");
  } else if (!needs_path && !in.go_work.path.empty()) {
    c.add("spec.workspace.goWork.path", in.go_work.path,
          "belongs to mode Path: set the mode, or leave it out");
  } else if (needs_path) {
    c.check("spec.workspace.goWork.path", in.go_work.path, check_path(in.go_work.path));
  }
}

void check_cache(Checker& c, const Cache& in) {
  c.items("spec.cache.trustedServiceAccounts", in.trusted_service_accounts, kMaxItems / 2, true,
          check_object_name);
  if (in.unused_for < kMinUnused) {
    c.add("spec.cache.retention.unusedFor", fmt::format("{}s", in.unused_for.count()),
          "must be one hour or more: a running build may use what looks unused for less");
  }
  if (in.max_size_bytes < kMinSize) {
    c.add("spec.cache.retention.maxSize", fmt::format("{}", in.max_size_bytes),
          "must be a size of 1Mi or more, such as \"20Gi\"");
  }
}

void check_variables(Checker& c, const Spec& spec) {
  c.size("spec.variables", spec.variables.size(), kMaxVariables);
  for (const auto& [name, value] : spec.variables) {
    const auto path = "spec.variables." + printable(name);
    if (auto problem = check_variable_name(name)) {
      c.add(path, "", *problem);
    } else {
      c.check(path, value, check_variable_value(name, value));
    }
  }
}

void check_selector(Checker& c, const PodSelector& in) {
  constexpr std::string_view kField = "spec.injection.podSelector";
  for (const auto& [key, value] : in.match_labels) {
    const auto path = fmt::format("{}.matchLabels.{}", kField, printable(key));
    c.check(path, key, check_label_key(key));
    c.check(path, value, check_label_value(value));
  }
  for (std::size_t i = 0; i < in.match_expressions.size(); ++i) {
    const auto& requirement = in.match_expressions[i];
    const auto path = fmt::format("{}.matchExpressions[{}]", kField, i);
    c.check(path + ".key", requirement.key, check_label_key(requirement.key));
    const bool takes_values = requirement.op == "In" || requirement.op == "NotIn";
    if (!takes_values && requirement.op != "Exists" && requirement.op != "DoesNotExist") {
      c.add(path + ".operator", requirement.op, "must be one of In, NotIn, Exists, DoesNotExist");
    } else if (takes_values == requirement.values.empty()) {
      c.add(path + ".values", fmt::format("{} items", requirement.values.size()),
            "belong to operators In and NotIn, which need at least one");
    }
    c.items(path + ".values", requirement.values, kMaxItems, false, check_label_value);
  }
}

void check_injection(Checker& c, const Injection& in) {
  if (in.pod_selector) check_selector(c, *in.pod_selector);
  c.items("spec.injection.containers.include", in.include, kMaxItems, true, check_container_glob);
  c.items("spec.injection.containers.exclude", in.exclude, kMaxItems, true, check_container_glob);
  if (in.launcher_paths) {
    c.items("spec.injection.launcherPaths", *in.launcher_paths, kMaxLauncherPaths, true,
            check_image_folder);
  }
}

}  // namespace

std::vector<FieldError> validate(const Spec& spec) {
  Checker c;
  const auto version = check_toolchain(c, spec);
  check_cgo(c, spec);
  check_flags(c, spec, version);
  check_platforms(c, spec);
  check_modules(c, spec.modules);
  check_conda(c, spec.conda);
  check_workspace(c, spec.workspace);
  check_cache(c, spec.cache);
  check_variables(c, spec);
  check_injection(c, spec.injection);
  if (!spec.export_config_map.empty()) {
    c.check("spec.export.configMapName", spec.export_config_map,
            check_object_name(spec.export_config_map));
  }
  if (spec.revision_history_limit < 0 || spec.revision_history_limit > kMaxHistory) {
    c.add("spec.revisionHistoryLimit", fmt::format("{}", spec.revision_history_limit),
          fmt::format("must be from 0 to {}", kMaxHistory));
  }
  return c.errors;
}

std::vector<FieldError> validate_name(std::string_view name) {
  Checker c;
  if (name.size() > kMaxName) {
    c.add("metadata.name", name,
          fmt::format("may have at most {} characters: revisions are named <name>-<10 digits> and "
                      "the name is a label's value",
                      kMaxName));
  } else {
    c.check("metadata.name", name, check_object_name(name));
  }
  return c.errors;
}

}  // namespace gobuildenv::goenv
