#pragma once

#include <map>
#include <string>
#include <utility>

#include "controllers/gobuildenv/decide.hpp"
#include "crds/digest.hpp"
#include "goenv/revision.hpp"

/// Facts for tests of decide(), and a world in which its decisions come true at once.
namespace gobuildenv::controllers::testing {

inline DecideOptions options() {
  DecideOptions out;
  out.sha256 = crds::sha256_hex;
  return out;
}

inline goenv::Spec spec_of(std::string version) {
  goenv::Spec spec;
  spec.toolchain.version = std::move(version);
  return spec;
}

/// A new object `app`, generation 1, as the API server made it.
inline EnvironmentFacts new_environment(goenv::Spec spec) {
  EnvironmentFacts facts;
  facts.name = "app";
  facts.uid = "uid-1";
  facts.generation = 1;
  facts.now = 1'000'000;
  facts.spec = std::move(spec);
  facts.status.conditions.push_back(
      {"Ready", crds::ConditionStatus::Unknown, 0, "1970-01-01T00:00:00Z", "Pending", "waiting"});
  return facts;
}

/// What the API server would hold after the decision was applied.
inline void come_true(EnvironmentFacts& facts, const EnvironmentDecision& decision) {
  static int serial = 0;
  std::map<std::string, std::string> uids;  // of revisions made now, by hash
  for (const CreateConfigMap& wanted : decision.creates) {
    std::erase_if(facts.config_maps, [&](const auto& fact) { return fact.name == wanted.name; });
    ConfigMapFact fact;
    fact.name = wanted.name;
    fact.uid = "cm-" + std::to_string(++serial);
    fact.resource_version = std::to_string(serial);
    fact.hash = wanted.hash;
    fact.salt = wanted.salt;
    fact.revision = wanted.revision;
    fact.created = facts.now;
    fact.intact = true;
    fact.is_export = wanted.is_export;
    if (const auto found = wanted.data.find("pod.json"); found != wanted.data.end()) {
      fact.pod_json = found->second;
    }
    if (!fact.is_export) uids[fact.hash] = fact.uid;
    facts.config_maps.push_back(std::move(fact));
  }
  if (decision.status) {
    facts.status = *decision.status;
    for (crds::RevisionRecord& entry : facts.status.history) {
      const auto made = uids.find(entry.name);
      if (made != uids.end()) entry.uid = made->second;
    }
  }
  for (const DeleteConfigMap& removal : decision.deletes) {
    std::erase_if(facts.config_maps, [&](const auto& fact) {
      return fact.name == removal.name && fact.uid == removal.uid;
    });
  }
}

/// Decides and applies once, with the spec at hand.
inline EnvironmentDecision step(EnvironmentFacts& facts) {
  EnvironmentDecision decision = decide(facts, options());
  come_true(facts, decision);
  return decision;
}

}  // namespace gobuildenv::controllers::testing
