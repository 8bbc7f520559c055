#include "controllers/gobuildenv/reconciler.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "controllers/gobuildenv/refusal.hpp"
#include "controllers/gobuildenv/status.hpp"
#include "controllers/outcome.hpp"
#include "crds/gobuildenv.hpp"
#include "goenv/json_text.hpp"
#include "goenv/names.hpp"

namespace gobuildenv::controllers {
namespace {

using kube::ReconcileResult;
using ErrorKind = kube::Error::Kind;

/// Rounds of deciding in one reconcile: spec, toolchain answer, and a few names that turn out to
/// exist.
constexpr int kMaxRounds = 8;
/// Until a status that was refused is written again; an edit or a pod is a reason before that.
constexpr std::chrono::minutes kRefusedStatusWait{5};

bool export_was_taken(const EnvironmentFacts& facts) {
  const crds::Condition* exported = facts.status.find(kExported);
  return exported != nullptr && exported->reason == kNameTaken;
}

}  // namespace

EnvironmentReconciler::EnvironmentReconciler(kube::Client& client, Caches caches,
                                             ToolchainResolver& resolver,
                                             kube::EventRecorder& events, kube::Clock& clock,
                                             ReconcilerOptions options)
    : client_(client),
      caches_(caches),
      resolver_(resolver),
      events_(events),
      clock_(clock),
      options_(std::move(options)),
      contents_(client),
      refusals_(clock) {}

std::optional<EnvironmentReconciler::Gathered> EnvironmentReconciler::gather(
    const kube::ObjectKey& key) const {
  const auto found = caches_.environments.find(key);
  if (!found) return std::nullopt;
  const EnvironmentRecord& record = *found->value;
  Gathered out;
  out.resource_version = found->meta.resource_version;
  out.spec = record.rare().spec;
  EnvironmentFacts& facts = out.facts;
  facts.name = key.name;
  facts.uid = found->meta.uid;
  facts.generation = record.generation;
  facts.deleting = record.deleting;
  facts.resolve = record.rare().resolve;
  facts.history_limit = record.history_limit;
  facts.export_name = record.rare().export_name;
  facts.status = unpack_status(record.status);
  facts.now = std::chrono::duration_cast<std::chrono::seconds>(clock_.wall_now().time_since_epoch())
                  .count();

  for (const auto& item : config_maps_of(caches_.config_maps, key)) {
    facts.config_maps.push_back(fact_of(item.meta, *item.value, facts.uid));
  }

  const bool disabled = options_.injection_disabled && options_.injection_disabled(key.ns);
  for (const auto& pod : pods_of(caches_, key)) {
    if (pod->revision) {
      facts.pods.in_use.insert(*pod->revision);
      ++facts.pods.injected;
    } else if (!disabled && !pod->answered) {
      ++facts.pods.missed;
    }
  }
  facts.refused = refusals_.of(key, facts);
  facts.counts_due = counts_due(key);
  facts.mounted = record.mounted;
  if (options_.nodes) facts.nodes = options_.nodes(record.rare().sums);
  return out;
}

ReconcileResult EnvironmentReconciler::reconcile(const kube::ObjectKey& key) {
  auto gathered = gather(key);
  if (!gathered) {
    contents_.forget(key);
    refusals_.forget(key);
    const std::scoped_lock lock(mutex_);
    counts_at_.erase(key);
    return ReconcileResult::done();
  }
  EnvironmentFacts& facts = gathered->facts;
  facts.nodes_due = options_.take_nodes_due && options_.take_nodes_due(key);
  if (!facts.deleting) {
    if (const auto error = contents_.verify(key, facts, deadline())) return outcome(*error);
  }
  for (int round = 0; round < kMaxRounds; ++round) {
    const EnvironmentDecision decision = decide(facts, options_.decide);
    if (decision.need == EnvironmentDecision::Need::Spec) {
      if (auto end = read_spec(key, *gathered)) return *end;
      continue;
    }
    if (decision.need == EnvironmentDecision::Need::Toolchain) {
      facts.answer = resolver_.resolve(decision.toolchain_request, decision.fresh_toolchain, key);
      continue;
    }
    bool decide_again = false;
    for (const CreateConfigMap& wanted : decision.creates) {
      if (auto end = create(key, *gathered, wanted, decide_again)) return *end;
      if (decide_again) break;
    }
    if (decide_again) continue;
    refusals_.settled(key);
    if (decision.status) {
      if (auto end = write_status(key, *gathered, *decision.status)) return *end;
    }
    for (const EventNote& note : decision.events) {
      record(events_, kGoBuildEnvType, key, facts.uid, note);
    }
    for (const DeleteConfigMap& removal : decision.deletes) {
      if (auto end = remove(key, removal)) return *end;
    }
    if (decision.recheck) {
      return ReconcileResult::requeue_after(std::chrono::seconds(*decision.recheck));
    }
    return ReconcileResult::done();
  }
  return ReconcileResult::retry("names of ConfigMaps keep being taken while they are created");
}

EnvironmentReconciler::Outcome EnvironmentReconciler::read_spec(const kube::ObjectKey& key,
                                                                Gathered& gathered) {
  if (gathered.spec.empty()) {
    // A settled environment's spec is not cached; it is needed for a repair or a new toolchain.
    auto live = client_.get(kGoBuildEnvType, key, deadline());
    if (!live) {
      if (live.error().kind == ErrorKind::NotFound) return ReconcileResult::done();
      return outcome(live.error());
    }
    auto summary = crds::summarize(*live);
    if (!summary) return ReconcileResult::retry(summary.error());
    if (summary->metadata.uid != gathered.facts.uid ||
        summary->metadata.generation != gathered.facts.generation) {
      return ReconcileResult::requeue_after(std::chrono::seconds(1));  // the cache is behind
    }
    gathered.spec = std::move(summary->spec_json);
    if (gathered.spec.empty()) gathered.spec = "{}";
  }
  auto spec = crds::decode_spec(gathered.spec);
  if (spec) {
    gathered.facts.spec = std::move(*spec);
  } else {
    gathered.facts.spec_errors = std::move(spec.error());
    if (gathered.facts.spec_errors.empty()) {
      gathered.facts.spec_errors.push_back({"spec", "", "cannot be read; write it anew"});
    }
  }
  return std::nullopt;
}

EnvironmentReconciler::Outcome EnvironmentReconciler::create(const kube::ObjectKey& key,
                                                             Gathered& gathered,
                                                             const CreateConfigMap& wanted,
                                                             bool& decide_again) {
  ConfigMapBody body;
  body.key = {key.ns, wanted.name};
  body.environment = key.name;
  body.owner_uid = gathered.facts.uid;
  body.immutable = !wanted.is_export;
  body.resource_version = wanted.replaces;
  if (wanted.is_export) {
    body.annotations[std::string(kContentAnnotation)] = wanted.hash;
    body.annotations[std::string(goenv::kRevisionAnnotation)] = wanted.revision;
  } else {
    body.annotations[std::string(goenv::kGenerationAnnotation)] =
        std::to_string(gathered.facts.generation);
    if (!wanted.salt.empty()) {
      body.annotations[std::string(goenv::kSaltAnnotation)] = wanted.salt;
    }
  }
  if (wanted.is_export && wanted.replaces.empty() && export_was_taken(gathered.facts)) {
    // An object of others has none of our labels, so the cache does not show that it is still
    // there. A look is no write that is refused at each pod that comes and goes.
    auto live = client_.get(kConfigMapType, body.key, deadline());
    if (live) {
      decide_again = true;
      return adopt_existing(key, body.key, gathered, *std::move(live));
    }
    if (live.error().kind != ErrorKind::NotFound) return outcome(live.error());
  }
  const std::string json = encode_config_map(body, wanted.data);
  auto written = wanted.replaces.empty()
                     ? client_.create_for_metadata(kConfigMapType, key.ns, json, deadline())
                     : client_.update(kConfigMapType, body.key, json, "", deadline());
  if (written) {
    caches_.config_maps.observe_write(*written);
    refusals_.let_in(key, wanted.name);
    if (wanted.is_export) return std::nullopt;
    const auto made = decode_config_map(*written);
    if (!made) return ReconcileResult::retry(made.error());
    gathered.made[wanted.hash] = made->meta.uid;
    // For another decision, where what comes after this one is not to be had.
    ConfigMapFact fact = fact_of(made->meta, *made->value, gathered.facts.uid);
    fact.intact = true;
    gathered.facts.config_maps.push_back(std::move(fact));
    return std::nullopt;
  }
  decide_again = true;
  if (written.error().kind == ErrorKind::AlreadyExists) {
    auto live = client_.get(kConfigMapType, body.key, deadline());
    if (!live) return outcome(live.error());
    return adopt_existing(key, body.key, gathered, *std::move(live));
  }
  return not_written(key, wanted.name, written.error(), gathered);
}

/// Empty: the facts tell of it, to be decided on anew.
EnvironmentReconciler::Outcome EnvironmentReconciler::not_written(const kube::ObjectKey& key,
                                                                  const std::string& name,
                                                                  const kube::Error& error,
                                                                  Gathered& gathered) {
  // Our own stop and a terminating namespace are neither.
  const ReconcileResult end = outcome(error);
  const bool counts = is_refusal(error) || end.kind == ReconcileResult::Kind::Retry;
  if (!counts || !refusals_.note(key, gathered.facts, name, error)) return end;
  const Refusal& told = gathered.facts.refused[name];
  spdlog::warn("ConfigMap not written namespace={} name={} reason={} retry_in={}s error={}", key.ns,
               name, told.reason(), told.retry_in, error.message);
  return std::nullopt;
}

/// A name that is taken: by our own earlier write which the cache has not shown, by one of ours
/// that lost its labels, or by somebody else. The fact joins the others and all is decided again.
EnvironmentReconciler::Outcome EnvironmentReconciler::adopt_existing(const kube::ObjectKey& key,
                                                                     const kube::ObjectKey& name,
                                                                     Gathered& gathered,
                                                                     std::string live) {
  const auto content = read_config_map(live);
  if (!content) return ReconcileResult::retry(content.error());
  EnvironmentFacts& facts = gathered.facts;
  ConfigMapFact fact = fact_of(*content, facts.uid);
  if (fact.ownership == Ownership::Ours && !fact.deleting) {
    if (!content->record->managed || content->record->environment != environment_hash(facts.name)) {
      // Without its labels the cache does not see it, and so it would not serve.
      nlohmann::json labels;
      labels[std::string(kManagedByLabel)] = kManagedBy;
      labels[std::string(goenv::kEnvLabel)] = facts.name;
      const nlohmann::json patch{{"metadata",
                                  {{"uid", fact.uid},
                                   {"resourceVersion", fact.resource_version},
                                   {"labels", std::move(labels)}}}};
      auto labelled = client_.patch(kConfigMapType, name, patch.dump(),
                                    "application/merge-patch+json", "", deadline());
      if (!labelled) return not_written(key, name.name, labelled.error(), gathered);
      live = *std::move(labelled);
    }
    caches_.config_maps.observe_write(live);
  }
  std::erase_if(facts.config_maps, [&](const auto& entry) { return entry.name == fact.name; });
  facts.config_maps.push_back(std::move(fact));
  return std::nullopt;
}

EnvironmentReconciler::Outcome EnvironmentReconciler::write_status(const kube::ObjectKey& key,
                                                                   const Gathered& gathered,
                                                                   crds::Status status) {
  for (crds::RevisionRecord& entry : status.history) {
    const auto made = gathered.made.find(entry.name);
    if (made != gathered.made.end()) entry.uid = made->second;
  }
  std::string json = "{";
  goenv::append_member(json, "apiVersion", crds::kApiVersion);
  goenv::append_member(json, "kind", crds::kKind);
  json += R"(,"metadata":{)";
  goenv::append_member(json, "name", key.name);
  goenv::append_member(json, "namespace", key.ns);
  goenv::append_member(json, "uid", gathered.facts.uid);
  goenv::append_member(json, "resourceVersion", gathered.resource_version);
  json += R"(},"status":)";
  json += crds::encode_status(status);
  json += '}';
  auto written = client_.update(kGoBuildEnvType, key, json, "status", deadline());
  if (!written) {
    if (written.error().kind == ErrorKind::NotFound) return ReconcileResult::done();
    return status_not_written(key, gathered, written.error());
  }
  caches_.environments.observe_write(*written);
  const crds::Status& before = gathered.facts.status;
  if (status.pods_injected != before.pods_injected || status.pods_missed != before.pods_missed) {
    note_counts_written(key);
  }
  return std::nullopt;
}

/// What is refused cannot say so in its own conditions: an Event does.
ReconcileResult EnvironmentReconciler::status_not_written(const kube::ObjectKey& key,
                                                          const Gathered& gathered,
                                                          const kube::Error& error) {
  if (!is_refusal(error)) return outcome(error);
  record(events_, kGoBuildEnvType, key, gathered.facts.uid,
         {.warning = true,
          .reason = std::string(kStatusRefused),
          .message = describe_refused_status(error.message)});
  return ReconcileResult::retry_after(kRefusedStatusWait, error.message);
}

EnvironmentReconciler::Outcome EnvironmentReconciler::remove(const kube::ObjectKey& key,
                                                             const DeleteConfigMap& removal) {
  const kube::ObjectKey name{key.ns, removal.name};
  kube::DeleteOptions precondition;
  precondition.uid = removal.uid;
  auto removed = client_.remove(kConfigMapType, name, precondition, deadline());
  if (removed) {
    spdlog::info("removed ConfigMap namespace={} name={} why={}", key.ns, removal.name,
                 removal.why);
    caches_.config_maps.observe_delete(name, removal.uid);
    return std::nullopt;
  }
  // Gone already, or another object has the name now: not ours to remove.
  if (removed.error().kind == ErrorKind::NotFound || removed.error().kind == ErrorKind::Conflict) {
    return std::nullopt;
  }
  return outcome(removed.error());
}

bool EnvironmentReconciler::counts_due(const kube::ObjectKey& key) const {
  const std::scoped_lock lock(mutex_);
  const auto at = counts_at_.find(key);
  return at == counts_at_.end() || clock_.now() >= at->second + options_.counts_every;
}

void EnvironmentReconciler::note_counts_written(const kube::ObjectKey& key) {
  const std::scoped_lock lock(mutex_);
  counts_at_[key] = clock_.now();
}

}  // namespace gobuildenv::controllers
