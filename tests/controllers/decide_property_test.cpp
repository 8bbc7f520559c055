// Whatever happens to an environment, deciding and applying reaches a state in which there is
// nothing more to do, at once, and what serves there is what the spec says.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>

#include "facts.hpp"
#include "goenv/revision.hpp"

namespace gobuildenv::controllers {
namespace {

using crds::ConditionStatus;
using State = ToolchainAnswer::State;

/// One thing that happens to an environment.
void happen(EnvironmentFacts& facts, int what, int which) {
  const auto pick = [&](auto& list) -> decltype(auto) {
    return list[static_cast<std::size_t>(which) % list.size()];
  };
  switch (what) {
    case 0: {  // an edit
      static const char* const kVersions[] = {"1.22.3", "1.23.1", "1.22", "1.20", "nonsense"};
      ++facts.generation;
      facts.spec->toolchain.version = kVersions[which % 5];
      facts.spec->cgo.policy = which % 2 == 0 ? goenv::CgoPolicy::Disabled : goenv::CgoPolicy::Auto;
      break;
    }
    case 1:  // an edit of the limit or the export
      ++facts.generation;
      facts.history_limit = which % 4;
      facts.export_name = which % 3 == 0 ? "go-env" : "";
      break;
    case 2:  // somebody deletes a ConfigMap
      if (!facts.config_maps.empty()) {
        facts.config_maps.erase(facts.config_maps.begin() +
                                which % static_cast<int>(facts.config_maps.size()));
      }
      break;
    case 3:  // or changes one
      if (!facts.config_maps.empty()) pick(facts.config_maps).intact = false;
      break;
    case 4:  // or puts his own in its place
      if (!facts.config_maps.empty()) pick(facts.config_maps).ownership = Ownership::Foreign;
      break;
    case 5:
      facts.now += which * 60;
      break;
    case 6:  // pods come and go
      facts.pods.in_use.clear();
      for (const auto& entry : facts.status.history) {
        if ((which & 1) != 0) facts.pods.in_use.insert(entry.name);
      }
      facts.pods.injected = which % 7;
      break;
    case 7:
      facts.resolve = std::to_string(which);
      break;
    default:
      if (which % 3 == 0) {
        facts.answer = ToolchainAnswer{State::Failed, {}, "ProxyUnreachable", "refused", 5};
      } else {
        facts.answer =
            ToolchainAnswer{State::Resolved, "1.22." + std::to_string(which % 4), {}, {}, 0};
      }
  }
}

/// How the API server takes ConfigMaps.
enum class Mood { Well, Refusing, Failing };

/// Decides and applies once. What a pod names is not removed for being superseded.
void step(EnvironmentFacts& facts, Mood mood) {
  static int used = 0;
  if (mood == Mood::Well) facts.refused.clear();
  EnvironmentDecision decision = decide(facts, testing::options());
  while (mood != Mood::Well && !decision.creates.empty()) {
    facts.refused[decision.creates[0].name].retry_in = 10;
    const std::string figures = std::to_string(++used);
    for (auto& [name, refusal] : facts.refused) {
      refusal.message = "exceeded quota: " + figures;
      refusal.failed = mood == Mood::Failing;
    }
    decision = decide(facts, testing::options());
  }
  for (const DeleteConfigMap& removal : decision.deletes) {
    if (removal.why != "superseded") continue;
    for (const std::string& hash : facts.pods.in_use) {
      RC_ASSERT(removal.name != goenv::config_map_name(facts.name, hash));
    }
  }
  testing::come_true(facts, decision);
}

TEST(DecideProperty, ReachesAStateWithNothingLeftToDo) {
  EXPECT_TRUE(rc::check("fixed point", [] {
    EnvironmentFacts facts = testing::new_environment(testing::spec_of("1.22.3"));
    facts.answer = ToolchainAnswer{State::Resolved, "1.22.5", {}, {}, 0};
    const auto history = *rc::gen::container<std::vector<std::pair<int, int>>>(
        rc::gen::pair(rc::gen::inRange(0, 10), rc::gen::inRange(0, 1000)));
    Mood mood = Mood::Well;
    for (const auto& [what, which] : history) {
      if (what == 9) mood = static_cast<Mood>(which % 3);
      if (what != 9) happen(facts, what, which);
      if (which % 2 == 0) continue;  // several things at once
      step(facts, mood);
    }
    // One pass applies; one more may be needed for what the first has freed.
    step(facts, mood);
    step(facts, mood);
    const EnvironmentDecision after = decide(facts, testing::options());
    RC_ASSERT(after.quiet());
    RC_ASSERT(after.deletes.empty());

    RC_ASSERT(facts.status.observed_generation == facts.generation);
    const crds::Condition* ready = facts.status.find(crds::kReady);
    RC_ASSERT(ready != nullptr);
    RC_ASSERT(ready->observed_generation == facts.generation);
    if (ready->status != ConditionStatus::True) return;
    int serving = 0;
    for (const ConfigMapFact& fact : facts.config_maps) {
      if (fact.is_export || fact.hash != facts.status.current) continue;
      RC_ASSERT(fact.intact);
      RC_ASSERT(fact.ownership == Ownership::Ours);
      ++serving;
    }
    RC_ASSERT(serving == 1);
  }));
}

}  // namespace
}  // namespace gobuildenv::controllers
