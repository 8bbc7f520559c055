#pragma once

#include <optional>
#include <string>

#include "webhooks/pod/explain.hpp"

namespace gobuildenv::cli {

/// What is explained.
struct Explained {
  std::string subject;  ///< "Pod ci/build"
  webhooks::Explanation explanation;
  /// Of a pod of a cluster: whether admission bound it to a revision. Otherwise it runs unchanged,
  /// and the explanation is what admission would do now. nullopt: of a manifest.
  std::optional<bool> admitted;
};

/// The environment and revision that admission bound a pod to, as its annotations have it.
struct Binding {
  std::string environment;
  std::string revision;
};
/// nullopt: `pod`, JSON text, was not changed at admission.
std::optional<Binding> binding_of(const std::string& pod);

/// Whether the environment holds in at least one container.
bool holds(const Explained& explained);

/// An explanation for people: environment and reason, then container by container.
std::string explanation_text(const Explained& explained);

/// The same for machines, as JSON text; its keys are part of the command line's contract.
std::string explanation_json(const Explained& explained);

}  // namespace gobuildenv::cli
