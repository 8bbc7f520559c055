#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "controllers/gobuildenv/refusal.hpp"
#include "controllers/nodes/tally.hpp"
#include "crds/gobuildenv.hpp"
#include "goenv/revision.hpp"
#include "goenv/spec.hpp"
#include "goenv/validate.hpp"

/// What is to be done about one GoBuildEnv, as a pure function of what is known about it.
///
/// Rules: a revision is rendered only for a new generation, a new toolchain answer, or to replace a
/// spoilt one, so a new renderer changes nothing by itself; only what carries our ownerReference is
/// ever changed; a failure keeps the served revision serving; nothing to change means no write.
namespace gobuildenv::controllers {

/// Beside the types of crds/gobuildenv.hpp: present only with spec.export.
inline constexpr std::string_view kExported = "Exported";
/// Reason of Exported, of Stalled and of an Event: a name of ours is that of somebody's ConfigMap.
inline constexpr std::string_view kNameTaken = "NameTaken";

/// How a ConfigMap relates to the environment.
enum class Ownership : std::uint8_t {
  Ours,      ///< our controller ownerReference with this object's uid
  Previous,  ///< of a deleted GoBuildEnv of the same name: the garbage collector will take it
  Foreign,   ///< anybody else's: never touched
};

/// A ConfigMap that has a name of this environment.
struct ConfigMapFact {
  std::string name;
  std::string uid;
  std::string resource_version;
  std::string hash;
  std::string salt;
  std::string revision;  ///< export only: the revision it was made from
  std::int64_t created = 0;
  bool intact = false;
  bool deleting = false;
  Ownership ownership = Ownership::Ours;
  bool is_export = false;
  std::string pod_json;  ///< of an intact revision; only needed with spec.export
};

/// The answer to "which release is 1.22?".
struct ToolchainAnswer {
  enum class State : std::uint8_t {
    Resolved,
    Pending,  ///< asked; the key comes back when the answer is there
    Failed,   ///< may pass later (proxy unreachable)
    Final,    ///< fails until the spec or the configuration changes
  };
  State state = State::Pending;
  std::string version;           ///< "1.22.5" when Resolved
  std::string reason;            ///< condition reason otherwise, "ProxyUnreachable"
  std::string message;           ///< for people, with the fix
  std::int64_t retry_after = 0;  ///< seconds until asking again makes sense; 0: the default
};

struct PodFacts {
  std::set<std::string> in_use;  ///< revisions that unfinished pods name
  std::int32_t injected = 0;     ///< unfinished pods with a revision of this environment
  std::int32_t missed = 0;       ///< unfinished pods that asked and got none
};

/// Everything decide() looks at.
struct EnvironmentFacts {
  std::string name;
  std::string uid;
  std::int64_t generation = 0;
  bool deleting = false;
  std::string resolve;             ///< annotation gobuildenv.dev/resolve
  std::int32_t history_limit = 3;  ///< superseded revisions to keep
  std::string export_name;
  crds::Status status;
  /// The spec, when at hand. Absent with no errors: not read, decide() says when it needs it.
  std::optional<goenv::Spec> spec;
  /// Why there is no spec although it was read: it cannot be decoded.
  std::vector<goenv::FieldError> spec_errors;
  std::vector<ConfigMapFact> config_maps;
  /// By name: ConfigMaps that cannot be written for now, so that no decision asks for them.
  std::map<std::string, Refusal> refused;
  PodFacts pods;
  std::optional<ToolchainAnswer> answer;  ///< absent: not asked yet
  bool counts_due = true;                 ///< pod counts may be written now
  bool mounted = true;                    ///< spec.toolchain.delivery is Volume
  /// How far nodes are with that version of the toolchain; empty: not known (yet), what the status
  /// says stays.
  std::function<NodeFacts(const std::string& version)> nodes;
  bool nodes_due = false;  ///< that alone may be written now
  std::int64_t now = 0;    ///< seconds of the Unix epoch
};

struct DecideOptions {
  goenv::RenderDefaults defaults;
  goenv::Sha256Hex sha256;
  std::int64_t keep_superseded = 3600;  ///< seconds a superseded revision is kept at least
  std::int64_t retry_toolchain = 30;    ///< seconds until a failed resolution is tried again
  std::int64_t retry_blocked = 300;     ///< seconds until a name taken by others is tried again
};

struct CreateConfigMap {
  std::string name;
  std::string salt;  ///< of a revision
  bool is_export = false;
  std::string hash;      ///< content_hash() of data
  std::string revision;  ///< export only
  std::string replaces;  ///< resourceVersion when an export is to be updated in place
  std::map<std::string, std::string> data;
};

struct DeleteConfigMap {
  std::string name;
  std::string uid;
  std::string why;  ///< for the log: "tampered", "superseded", "export"
};

struct EventNote {
  bool warning = false;
  std::string reason;
  std::string message;
};

struct EnvironmentDecision {
  /// Set: nothing else is decided until the facts hold it.
  enum class Need : std::uint8_t { Nothing, Spec, Toolchain } need = Need::Nothing;
  std::string toolchain_request;         ///< with Need::Toolchain
  bool fresh_toolchain = false;          ///< a cached answer is too old: ask anew
  std::vector<CreateConfigMap> creates;  ///< before the status is written
  std::optional<crds::Status> status;    ///< absent: it is as it should be
  std::vector<DeleteConfigMap> deletes;  ///< after the status is written
  std::vector<EventNote> events;         ///< after the status is written
  std::optional<std::int64_t> recheck;   ///< seconds until time alone changes the answer

  [[nodiscard]] bool quiet() const {
    return need == Need::Nothing && creates.empty() && !status && deletes.empty();
  }
};

/// Whether `requested` names a range whose newest patch has to be asked for: "1.22", not "1.22.3"
/// and not "1.20", which is itself a release.
bool needs_resolution(std::string_view requested);

/// See the file's comment. Total: any facts give a decision.
EnvironmentDecision decide(const EnvironmentFacts& facts, const DecideOptions& options);

}  // namespace gobuildenv::controllers
