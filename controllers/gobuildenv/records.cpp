#include "controllers/gobuildenv/records.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <optional>
#include <unordered_map>

#include "controllers/gobuildenv/status.hpp"
#include "controllers/nodes/decide.hpp"
#include "controllers/shared_pool.hpp"
#include "crds/digest.hpp"
#include "crds/gobuildenv.hpp"
#include "goenv/json_text.hpp"
#include "goenv/names.hpp"
#include "goenv/revision.hpp"
#include "webhooks/pod/ci_systems.hpp"

namespace gobuildenv::controllers {

const kube::ResourceType kGoBuildEnvType{std::string(goenv::kGroup), std::string(goenv::kVersion),
                                         "gobuildenvs", "GoBuildEnv", true};
const kube::ResourceType kConfigMapType{"", "v1", "configmaps", "ConfigMap", true};
const kube::ResourceType kPodType{"", "v1", "pods", "Pod", true};

namespace {

namespace dom = simdjson::dom;

/// Text at `key` of `object`, empty when it is absent or no string.
std::string_view text(const dom::element& object, std::string_view key) {
  std::string_view value;
  if (object[key].get(value) != simdjson::SUCCESS) return {};
  return value;
}

std::string_view text(const dom::element& object, std::string_view parent, std::string_view key) {
  dom::element child;
  if (object[parent].get(child) != simdjson::SUCCESS) return {};
  return text(child, key);
}

std::int64_t number(const dom::element& object, std::string_view key, std::int64_t otherwise = 0) {
  std::int64_t value = 0;
  return object[key].get(value) == simdjson::SUCCESS ? value : otherwise;
}

bool flag(const dom::element& object, std::string_view key) {
  bool value = false;
  return object[key].get(value) == simdjson::SUCCESS && value;
}

bool present(const dom::element& object, std::string_view key) {
  dom::element child;
  return object[key].get(child) == simdjson::SUCCESS && !child.is_null();
}

/// One parser a thread: its buffers are reused.
dom::parser& parser() {
  thread_local dom::parser instance;
  return instance;
}

struct Parsed {
  dom::element object;
  dom::element metadata;
  kube::ObjectMeta meta;
};

tl::expected<Parsed, std::string> parse(std::string_view json) {
  Parsed out;
  if (const auto error = parser().parse(json.data(), json.size()).get(out.object)) {
    return tl::unexpected(
        fmt::format("the object is not JSON: {}", simdjson::error_message(error)));
  }
  if (out.object["metadata"].get(out.metadata) != simdjson::SUCCESS) {
    return tl::unexpected(std::string("the object has no metadata"));
  }
  out.meta.key.ns = text(out.metadata, "namespace");
  out.meta.key.name = text(out.metadata, "name");
  out.meta.uid = text(out.metadata, "uid");
  out.meta.resource_version = text(out.metadata, "resourceVersion");
  if (out.meta.key.name.empty()) return tl::unexpected(std::string("the object has no name"));
  return out;
}

goenv::PodSelector decode_selector(const dom::element& selector) {
  goenv::PodSelector out;
  dom::object labels;
  if (selector["matchLabels"].get(labels) == simdjson::SUCCESS) {
    for (const auto& [key, value] : labels) {
      std::string_view wanted;
      if (value.get(wanted) == simdjson::SUCCESS) out.match_labels.emplace(key, wanted);
    }
  }
  dom::array list;
  if (selector["matchExpressions"].get(list) == simdjson::SUCCESS) {
    for (const dom::element item : list) {
      goenv::SelectorRequirement& term = out.match_expressions.emplace_back();
      term.key = text(item, "key");
      term.op = text(item, "operator");
      dom::array values;
      if (item["values"].get(values) != simdjson::SUCCESS) continue;
      for (const dom::element value : values) {
        std::string_view wanted;
        if (value.get(wanted) == simdjson::SUCCESS) term.values.emplace_back(wanted);
      }
    }
  }
  return out;
}

std::vector<std::string> decode_sums(const dom::element& spec) {
  std::vector<std::string> out;
  dom::array list;
  if (spec["toolchain"]["sums"].get(list) != simdjson::SUCCESS) return out;
  for (const dom::element item : list) out.emplace_back(text(item, "sum"));
  return out;
}

/// The uid of the GoBuildEnv in ownerReferences with `controller: true`.
std::string_view owner_uid(const dom::element& metadata) {
  dom::array owners;
  if (metadata["ownerReferences"].get(owners) != simdjson::SUCCESS) return {};
  for (const dom::element owner : owners) {
    if (text(owner, "kind") == "GoBuildEnv" && flag(owner, "controller") &&
        text(owner, "apiVersion").starts_with(goenv::kGroup)) {
      return text(owner, "uid");
    }
  }
  return {};
}

/// status.toolchain.resolveToken has room for so much; a token only has to differ.
std::string shorten(std::string token) {
  constexpr std::size_t kMax = 1024;
  if (token.size() <= kMax) return token;
  std::size_t end = kMax;
  while (end > 0 && (static_cast<unsigned char>(token[end]) & 0xC0U) == 0x80U) --end;
  token.resize(end);
  return token;
}

bool is_windows(const dom::element& pod) {
  dom::element spec;
  if (pod["spec"].get(spec) != simdjson::SUCCESS) return false;
  return text(spec, "os", "name") == "windows" ||
         text(spec, "nodeSelector", "kubernetes.io/os") == "windows";
}

/// Whether a pod is a CI system's own: admission leaves it alone, whatever it asks for.
bool is_own_pod_of_system(const dom::element& metadata) {
  dom::object members;
  if (metadata["labels"].get(members) != simdjson::SUCCESS) return false;
  webhooks::StringPairs labels;
  for (const auto& [key, value] : members) {
    std::string_view content;
    if (value.get(content) == simdjson::SUCCESS) labels.emplace_back(key, content);
  }
  return !webhooks::own_pod_of_system(labels).empty();
}

/// A name of an environment or a revision, shared by the pods that use it. Pods name them freely.
std::shared_ptr<const std::string> shared_name(std::string_view name) {
  static SharedPool<std::unordered_map<std::string, std::weak_ptr<const std::string>>> names;
  return names.get(std::string(name));
}

std::shared_ptr<const NodesTold> shared_telling(NodesTold told) {
  static SharedPool<std::map<NodesTold, std::weak_ptr<const NodesTold>>> tellings;
  return tellings.get(std::move(told));
}

/// What a ConfigMap's metadata says. `salt`: it is a revision with this one, whatever its
/// annotations say.
std::shared_ptr<ConfigMapRecord> config_map_record(const Parsed& parsed,
                                                   const std::optional<std::string>& salt = {}) {
  auto record = std::make_shared<ConfigMapRecord>();
  const dom::element& metadata = parsed.metadata;
  const std::string& name = parsed.meta.key.name;
  const std::string_view environment = text(metadata, "labels", goenv::kEnvLabel);
  record->environment = environment_hash(environment);
  record->managed = text(metadata, "labels", kManagedByLabel) == kManagedBy;
  record->owner = Uid::of(owner_uid(metadata));
  record->created = parse_time(text(metadata, "creationTimestamp"));
  record->deleting = present(metadata, "deletionTimestamp");
  ConfigMapRecord::Rare rare;
  rare.salt = salt ? *salt : text(metadata, "annotations", goenv::kSaltAnnotation);
  const std::string_view content = text(metadata, "annotations", kContentAnnotation);
  record->is_export = !salt && !content.empty();
  if (record->is_export) {
    record->hash = content;
    rare.export_name = name;
    rare.revision = text(metadata, "annotations", goenv::kRevisionAnnotation);
    rare.environment = environment;
  } else {
    const std::size_t dash = name.rfind('-');
    if (dash != std::string::npos) record->hash = name.substr(dash + 1);
    if (std::string_view(name).substr(0, dash) != environment) rare.environment = environment;
  }
  if (!rare.salt.empty() || !rare.environment.empty()) {
    record->rare_or_null = std::make_unique<const ConfigMapRecord::Rare>(std::move(rare));
  }
  return record;
}

/// The salt under which `data` has the hash that the name ends with; `likely` is tried first. Data
/// of an immutable ConfigMap stays, its annotations anybody may edit: they are a hint.
std::optional<std::string> fitting_salt(std::string_view name,
                                        const std::map<std::string, std::string>& data,
                                        const std::string& likely) {
  const std::size_t dash = name.rfind('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto fits = [&, hash = name.substr(dash + 1)](const std::string& salt) {
    return goenv::content_hash(data, salt, crds::sha256_hex) == hash;
  };
  if (fits(likely)) return likely;
  for (int attempt = 0; attempt < goenv::kMaxSalts; ++attempt) {
    std::string salt = goenv::salt_of(attempt);
    if (fits(salt)) return salt;
  }
  return std::nullopt;
}

}  // namespace

const EnvironmentRecord::Rare& EnvironmentRecord::rare() const {
  static const Rare kNone;
  return rare_or_null ? *rare_or_null : kNone;
}

const ConfigMapRecord::Rare& ConfigMapRecord::rare() const {
  static const Rare kNone;
  return rare_or_null ? *rare_or_null : kNone;
}

std::uint64_t environment_hash(std::string_view name) {
  return std::hash<std::string_view>{}(name);
}

std::vector<std::string> environments_of(const kube::ObjectKey& key,
                                         const ConfigMapRecord& record) {
  std::vector<std::string> out;
  if (!record.is_export) out.push_back(key.name.substr(0, key.name.rfind('-')));
  if (!record.rare().environment.empty()) out.push_back(record.rare().environment);
  return out;
}

tl::expected<kube::Decoded<EnvironmentRecord>, std::string> decode_environment(
    std::string_view json) {
  auto summary = crds::summarize(json);
  if (!summary) return tl::unexpected(summary.error());
  crds::Metadata& metadata = summary->metadata;
  auto record = std::make_shared<EnvironmentRecord>();
  record->generation = metadata.generation;
  record->deleting = !metadata.deletion_timestamp.empty();
  record->status = pack_status(summary->status);
  record->current = summary->status.current;
  EnvironmentRecord::Rare rare;
  rare.resolve = shorten(metadata.resolve());
  dom::element spec;
  if (parser().parse(summary->spec_json).get(spec) == simdjson::SUCCESS) {
    record->history_limit = static_cast<std::int32_t>(number(spec, "revisionHistoryLimit", 3));
    rare.export_name = text(spec, "export", "configMapName");
    record->mounted = text(spec, "toolchain", "delivery") != "Download";
    rare.sums = decode_sums(spec);
    dom::element selector;
    if (spec["injection"]["podSelector"].get(selector) == simdjson::SUCCESS &&
        selector.is_object()) {
      rare.selecting = std::make_shared<const SelectingEnvironment>(
          SelectingEnvironment{metadata.name, decode_selector(selector)});
    }
  }
  record->nodes = shared_telling(told_of_nodes(summary->status, record->mounted, rare.sums));
  const crds::Condition* ready = summary->status.find(crds::kReady);
  if (ready != nullptr && ready->status != crds::ConditionStatus::Unknown) {
    record->ready =
        ready->status == crds::ConditionStatus::True ? Readiness::True : Readiness::False;
  }
  if (ready == nullptr || ready->status != crds::ConditionStatus::True ||
      ready->observed_generation != record->generation) {
    rare.spec = std::move(summary->spec_json);
    rare.spec.shrink_to_fit();
    if (rare.spec.empty()) rare.spec = "{}";
  }
  if (!rare.resolve.empty() || !rare.spec.empty() || !rare.export_name.empty() ||
      !rare.sums.empty() || rare.selecting) {
    record->rare_or_null = std::make_unique<const EnvironmentRecord::Rare>(std::move(rare));
  }
  return kube::Decoded<EnvironmentRecord>{{{std::move(metadata.ns), std::move(metadata.name)},
                                           std::move(metadata.uid),
                                           std::move(metadata.resource_version)},
                                          std::move(record)};
}

tl::expected<kube::Decoded<ConfigMapRecord>, std::string> decode_config_map(std::string_view json) {
  auto parsed = parse(json);
  if (!parsed) return tl::unexpected(parsed.error());
  auto record = config_map_record(*parsed);
  return kube::Decoded<ConfigMapRecord>{std::move(parsed->meta), std::move(record)};
}

tl::expected<ConfigMapContent, std::string> read_config_map(std::string_view json) {
  auto parsed = parse(json);
  if (!parsed) return tl::unexpected(parsed.error());
  ConfigMapContent out;
  out.record = config_map_record(*parsed);
  std::map<std::string, std::string> data;
  dom::object entries;
  if (parsed->object["data"].get(entries) == simdjson::SUCCESS) {
    for (const auto& [key, value] : entries) {
      std::string_view content;
      if (value.get(content) == simdjson::SUCCESS) data.emplace(key, content);
    }
  }
  const bool complete = !present(parsed->object, "binaryData");
  if (complete && flag(parsed->object, "immutable")) {
    if (const auto salt = fitting_salt(parsed->meta.key.name, data, out.record->rare().salt)) {
      out.record = config_map_record(*parsed, salt);
      out.intact = true;
    }
  }
  if (out.record->is_export) {
    out.intact = complete && goenv::content_hash(data, out.record->rare().salt, crds::sha256_hex) ==
                                 out.record->hash;
  }
  if (out.intact && !out.record->is_export) out.pod_json = std::move(data["pod.json"]);
  out.meta = std::move(parsed->meta);
  return out;
}

tl::expected<kube::Decoded<PodRecord>, std::string> decode_pod(std::string_view json) {
  auto parsed = parse(json);
  if (!parsed) return tl::unexpected(parsed.error());
  auto record = std::make_shared<PodRecord>();
  const dom::element& metadata = parsed->metadata;
  std::string_view environment = text(metadata, "labels", goenv::kEnvLabel);
  if (environment.empty())
    environment = text(metadata, "annotations", goenv::kEnvironmentAnnotation);
  record->environment = shared_name(environment);
  std::string_view revision = text(metadata, "annotations", goenv::kRevisionAnnotation);
  if (revision.empty()) revision = text(metadata, "labels", goenv::kRevisionLabel);
  if (!revision.empty()) record->revision = shared_name(revision);
  record->answered = !text(metadata, "annotations", goenv::kSkippedAnnotation).empty() ||
                     !text(metadata, "annotations", "kubernetes.io/config.mirror").empty() ||
                     is_windows(parsed->object) || is_own_pod_of_system(metadata);
  record->created = parse_time(text(metadata, "creationTimestamp"));
  const std::string_view phase = text(parsed->object, "status", "phase");
  record->pending = phase.empty() || phase == "Pending";
  record->finished = phase == "Succeeded" || phase == "Failed";
  return kube::Decoded<PodRecord>{std::move(parsed->meta), std::move(record)};
}

std::string encode_config_map(const ConfigMapBody& body,
                              const std::map<std::string, std::string>& data) {
  using goenv::append_key;
  using goenv::append_member;
  std::string out;
  std::size_t size = 1024;
  for (const auto& [name, content] : data)
    size += name.size() + content.size() + content.size() / 8;
  out.reserve(size);
  out = R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{)";
  append_member(out, "name", body.key.name);
  append_member(out, "namespace", body.key.ns);
  out += R"(,"labels":{)";
  append_member(out, kManagedByLabel, kManagedBy);
  append_member(out, goenv::kEnvLabel, body.environment);
  // Argo CD shows these under the environment; their updates are ours alone and need no refresh.
  out += R"(},"annotations":{"argocd.argoproj.io/ignore-resource-updates":"true")";
  for (const auto& [name, value] : body.annotations) append_member(out, name, value);
  out += R"(},"ownerReferences":[{)";
  append_member(out, "apiVersion", crds::kApiVersion);
  append_member(out, "kind", crds::kKind);
  append_member(out, "name", body.environment);
  append_member(out, "uid", body.owner_uid);
  out += R"(,"controller":true,"blockOwnerDeletion":true}])";
  if (!body.resource_version.empty()) append_member(out, "resourceVersion", body.resource_version);
  out += body.immutable ? R"(},"immutable":true,"data":{)" : R"(},"data":{)";
  for (const auto& [name, content] : data) append_member(out, name, content);
  out += "}}";
  return out;
}

}  // namespace gobuildenv::controllers
