#include "operator/offline_environments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "controllers/gobuildenv/decide.hpp"
#include "controllers/gobuildenv/records.hpp"
#include "controllers/serving/namespaces.hpp"
#include "controllers/serving/selector.hpp"
#include "crds/digest.hpp"
#include "crds/gobuildenv.hpp"
#include "goenv/names.hpp"
#include "goenv/validate.hpp"
#include "goenv/version.hpp"

namespace gobuildenv::cli {

namespace {

using controllers::ConfigMapFact;
using controllers::CreateConfigMap;
using controllers::EnvironmentDecision;
using controllers::EnvironmentFacts;

std::string describe(const Document& document, const crds::Errors& errors) {
  std::string out = fmt::format("{}: GoBuildEnv {}: {} to mend:", document.source, document.name,
                                errors.size() == 1 ? "one thing" : "several things");
  for (const auto& error : errors) {
    out += fmt::format("\n  {}: {}", error.field, error.message);
    if (!error.value.empty()) out += fmt::format(" (is: {})", error.value);
  }
  return out;
}

/// The ConfigMap as the reconciler would create it; without an owner, whose uid nobody knows yet.
std::string config_map_json(const CreateConfigMap& create, const std::string& ns,
                            const std::string& environment) {
  controllers::ConfigMapBody body;
  body.key = {ns, create.name};
  body.environment = environment;
  body.immutable = !create.is_export;
  if (create.is_export) {
    body.annotations[std::string(controllers::kContentAnnotation)] = create.hash;
    body.annotations[std::string(goenv::kRevisionAnnotation)] = create.revision;
  } else {
    body.annotations[std::string(goenv::kGenerationAnnotation)] = "1";
  }
  auto object = nlohmann::ordered_json::parse(controllers::encode_config_map(body, create.data));
  object["metadata"].erase("ownerReferences");
  return object.dump();
}

void take(const CreateConfigMap& create, EnvironmentFacts& facts, RenderedEnvironment& out) {
  const std::string json = config_map_json(create, out.ns, out.name);
  if (create.is_export) {
    out.export_json = json;
  } else {
    out.hash = create.hash;
    out.config_map_name = create.name;
    out.config_map_json = json;
    out.revision.data = create.data;
  }
  ConfigMapFact fact;
  fact.name = create.name;
  fact.uid = create.name;
  fact.hash = create.hash;
  fact.revision = create.revision;
  fact.intact = true;
  fact.is_export = create.is_export;
  if (const auto pod = create.data.find("pod.json"); pod != create.data.end()) {
    fact.pod_json = pod->second;
  }
  facts.config_maps.push_back(std::move(fact));
}

/// The first of `releases` that is one of `range`'s.
std::optional<goenv::GoVersion> release_of(const std::string& range,
                                           const std::vector<goenv::GoVersion>& releases) {
  const auto wanted = goenv::parse_version(range);
  if (!wanted) return std::nullopt;
  const auto found = std::ranges::find_if(releases, [&wanted](const goenv::GoVersion& release) {
    return release.same_language(*wanted) && !release.is_prerelease();
  });
  return found == releases.end() ? std::nullopt : std::optional(*found);
}

/// " (given: 1.21.6, 1.22.5)", or nothing where none was.
std::string given(const std::vector<goenv::GoVersion>& releases) {
  std::string out;
  for (const auto& release : releases) {
    out += (out.empty() ? " (given: " : ", ") + goenv::to_string(release);
  }
  return out.empty() ? out : out + ")";
}

}  // namespace

tl::expected<RenderedEnvironment, std::string> render_environment(const Document& document,
                                                                  const OfflineOptions& options) {
  auto object = crds::decode(document.json);
  const crds::Errors unknown = crds::unknown_fields(document.json);
  crds::Errors errors = object ? goenv::validate_name(object->metadata.name) : object.error();
  if (object) {
    const auto of_spec = goenv::validate(object->spec);
    errors.insert(errors.end(), of_spec.begin(), of_spec.end());
  }
  errors.insert(errors.end(), unknown.begin(), unknown.end());
  if (!errors.empty()) return tl::unexpected(describe(document, errors));

  RenderedEnvironment out;
  out.source = document.source;
  out.name = object->metadata.name;
  out.ns = object->metadata.ns.empty() ? options.ns : object->metadata.ns;
  out.advice = goenv::advise(object->spec);

  EnvironmentFacts facts;
  facts.name = out.name;
  facts.uid = "offline";
  facts.generation = 1;
  facts.history_limit = object->spec.revision_history_limit;
  facts.export_name = object->spec.export_config_map;
  facts.spec = object->spec;
  controllers::DecideOptions decide_options;
  decide_options.defaults = options.defaults;
  decide_options.sha256 = crds::sha256_hex;

  // The reconciler's own decisions, carried out on paper: a few rounds until nothing is left to do.
  for (int round = 0; round < 5; ++round) {
    const EnvironmentDecision decision = controllers::decide(facts, decide_options);
    if (decision.need == EnvironmentDecision::Need::Toolchain) {
      const auto release = release_of(object->spec.toolchain.version, options.releases);
      if (!release) {
        return tl::unexpected(fmt::format(
            "{}: GoBuildEnv {}: spec.toolchain.version: \"{}\" is a range, which the operator "
            "looks up at the module proxy; offline, say what it is to be: --toolchain-version "
            "{}.PATCH{}",
            document.source, out.name, object->spec.toolchain.version,
            object->spec.toolchain.version, given(options.releases)));
      }
      controllers::ToolchainAnswer answer;
      answer.state = controllers::ToolchainAnswer::State::Resolved;
      answer.version = goenv::to_string(*release);
      facts.answer = std::move(answer);
      continue;
    }
    for (const auto& create : decision.creates) take(create, facts, out);
    if (decision.status) facts.status = *decision.status;
    if (decision.quiet()) break;
  }
  if (out.hash.empty()) {
    const auto* stalled = facts.status.find(crds::kStalled);
    return tl::unexpected(fmt::format("{}: GoBuildEnv {}: {}", document.source, out.name,
                                      stalled != nullptr ? stalled->message : "not renderable"));
  }
  out.toolchain = facts.status.toolchain.version;
  return out;
}

tl::expected<std::unique_ptr<OfflineEnvironments>, std::string> OfflineEnvironments::load(
    const std::vector<Document>& documents, const OfflineOptions& options) {
  auto out = std::make_unique<OfflineEnvironments>();
  out->csi_available_ = options.csi_available;
  for (const Document& document : documents) {
    if (document.kind == "Namespace") {
      const auto decoded = controllers::decode_namespace(document.json);
      if (decoded) out->namespaces_[document.name] = decoded->value->injection;
      continue;
    }
    if (document.kind != crds::kKind) continue;
    auto rendered = render_environment(document, options);
    if (!rendered) return tl::unexpected(rendered.error());
    const auto object = crds::decode(document.json);
    auto served = std::make_shared<webhooks::ServedEnvironment>();
    served->ns = rendered->ns;
    served->name = rendered->name;
    served->revision = rendered->hash;
    served->config_map = rendered->config_map_name;
    served->pod_json = std::make_shared<const std::string>(rendered->revision.data.at("pod.json"));
    served->pod_selector = object->spec.injection.pod_selector;
    const std::pair key{rendered->ns, rendered->name};
    if (!out->environments_.emplace(key, std::move(served)).second) {
      return tl::unexpected(fmt::format("{}: GoBuildEnv {}/{} is in the input twice",
                                        document.source, key.first, key.second));
    }
  }
  return out;
}

webhooks::EnvironmentLookup::Answer OfflineEnvironments::find(std::string_view ns,
                                                              std::string_view name) const {
  const auto found = environments_.find(std::pair{std::string(ns), std::string(name)});
  if (found == environments_.end()) return {Found::No, nullptr};
  return {Found::Yes, found->second};
}

OfflineEnvironments::Candidates OfflineEnvironments::selecting(
    std::string_view ns, const webhooks::Labels& labels) const {
  Candidates out;
  for (const auto& [key, environment] : environments_) {
    if (key.first == ns && environment->pod_selector &&
        controllers::selects(*environment->pod_selector, labels)) {
      out.environments.push_back(environment);
    }
  }
  return out;
}

webhooks::NamespaceInjection OfflineEnvironments::injection(std::string_view ns) const {
  const auto found = namespaces_.find(ns);
  return found == namespaces_.end() ? webhooks::NamespaceInjection::Unset : found->second;
}

}  // namespace gobuildenv::cli
