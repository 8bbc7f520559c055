#include "controllers/gobuildenv/contents.hpp"

#include <algorithm>
#include <utility>

#include "goenv/revision.hpp"

namespace gobuildenv::controllers {
namespace {

/// Whether the status says that a revision was made under this very uid. Then it is that revision,
/// whatever its annotations say: those anybody may edit.
bool vouched_for(const EnvironmentFacts& facts, ConfigMapFact& fact) {
  const auto entry =
      std::find_if(facts.status.history.begin(), facts.status.history.end(), [&](const auto& made) {
        return made.uid == fact.uid && fact.name == goenv::config_map_name(facts.name, made.name);
      });
  if (entry == facts.status.history.end()) return false;
  fact.is_export = false;
  fact.hash = entry->name;
  return true;
}

}  // namespace

ConfigMapFact fact_of(const kube::ObjectMeta& meta, const ConfigMapRecord& record,
                      const std::string& environment_uid) {
  ConfigMapFact fact{.name = meta.key.name,
                     .uid = meta.uid,
                     .resource_version = meta.resource_version,
                     .hash = record.hash,
                     .salt = record.rare().salt,
                     .revision = record.rare().revision,
                     .created = record.created,
                     .intact = false,
                     .deleting = record.deleting,
                     .ownership = Ownership::Foreign,
                     .is_export = record.is_export,
                     .pod_json = {}};
  if (record.owner == Uid::of(environment_uid)) {
    fact.ownership = Ownership::Ours;
  } else if (!record.owner.empty()) {
    fact.ownership = Ownership::Previous;
  }
  return fact;
}

ConfigMapFact fact_of(const ConfigMapContent& content, const std::string& environment_uid) {
  ConfigMapFact fact = fact_of(content.meta, *content.record, environment_uid);
  fact.intact = content.intact;
  fact.pod_json = content.pod_json;
  return fact;
}

std::optional<kube::Error> ContentReader::verify(const kube::ObjectKey& environment,
                                                 EnvironmentFacts& facts, kube::Deadline deadline) {
  Reads reads;
  {
    const std::scoped_lock lock(mutex_);
    if (const auto found = reads_.find(environment); found != reads_.end()) reads = found->second;
  }
  Reads kept;
  std::vector<ConfigMapFact> there;
  for (ConfigMapFact& fact : facts.config_maps) {
    if (fact.ownership != Ownership::Ours || fact.deleting) {
      there.push_back(std::move(fact));
      continue;
    }
    fact.intact = vouched_for(facts, fact);
    const bool exported = !facts.export_name.empty() && fact.hash == facts.status.current;
    if (!fact.intact || exported) {
      if (auto error = verify_one(environment.ns, facts, fact, reads, deadline)) return error;
      if (fact.name.empty()) continue;  // gone
      if (const auto read = reads.find(fact.name); read != reads.end()) kept.insert(*read);
    }
    there.push_back(std::move(fact));
  }
  facts.config_maps = std::move(there);
  if (kept.empty() && reads.empty()) return std::nullopt;
  const std::scoped_lock lock(mutex_);
  if (kept.empty()) {
    reads_.erase(environment);
  } else {
    reads_[environment] = std::move(kept);
  }
  return std::nullopt;
}

std::optional<kube::Error> ContentReader::verify_one(const std::string& ns, EnvironmentFacts& facts,
                                                     ConfigMapFact& fact, Reads& reads,
                                                     kube::Deadline deadline) {
  const auto before = reads.find(fact.name);
  if (before != reads.end() && before->second.uid == fact.uid &&
      (!fact.is_export || before->second.resource_version == fact.resource_version)) {
    fact.intact = before->second.intact;
    fact.pod_json = before->second.pod_json;
    return std::nullopt;
  }
  const auto live = client_.get(kConfigMapType, {ns, fact.name}, deadline);
  if (!live) {
    if (live.error().kind != kube::Error::Kind::NotFound) return live.error();
    fact.name.clear();
    return std::nullopt;
  }
  const auto content = read_config_map(*live);
  if (!content) {
    kube::Error error;
    error.message = content.error();
    return error;
  }
  // It may have another uid by now: the watch is behind.
  fact = fact_of(*content, facts.uid);
  reads[fact.name] = {fact.uid, fact.resource_version, fact.intact, fact.pod_json};
  return std::nullopt;
}

void ContentReader::forget(const kube::ObjectKey& environment) {
  const std::scoped_lock lock(mutex_);
  reads_.erase(environment);
}

}  // namespace gobuildenv::controllers
