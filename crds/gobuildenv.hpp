#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "goenv/spec.hpp"
#include "goenv/validate.hpp"

/// The wire form of GoBuildEnv (gobuildenvs.yaml) and its C++ side. Decoding is lenient where an
/// API server is strict: unknown fields are ignored and no rule beyond types and enumerations is
/// checked, so that objects stored under older rules still decode (goenv::validate has the rules).
namespace gobuildenv::crds {

inline constexpr std::string_view kGroup = "gobuildenv.dev";
inline constexpr std::string_view kApiVersion = "gobuildenv.dev/v1alpha1";
inline constexpr std::string_view kKind = "GoBuildEnv";
inline constexpr std::string_view kPlural = "gobuildenvs";

using Errors = std::vector<goenv::FieldError>;

/// "spec.flags[0]: -toolexec=x: …" one a line: for logs, conditions and terminals.
std::string describe(const Errors& errors);

struct Metadata {
  std::string ns;
  std::string name;
  std::string uid;
  std::string resource_version;
  std::int64_t generation = 0;
  std::string deletion_timestamp;  ///< RFC 3339, empty while the object lives
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  /// Value of annotation gobuildenv.dev/resolve; a change asks for a fresh resolution.
  [[nodiscard]] std::string resolve() const;
};

enum class ConditionStatus { Unknown, True, False };

/// metav1.Condition. `last_transition_time` is RFC 3339 UTC with seconds.
struct Condition {
  std::string type;
  ConditionStatus status = ConditionStatus::Unknown;
  std::int64_t observed_generation = 0;
  std::string last_transition_time;
  std::string reason;
  std::string message;
  friend bool operator==(const Condition&, const Condition&) = default;
};

/// Condition types in use. Ready, Reconciling and Stalled follow kstatus: the latter two are
/// abnormal-true and absent when there is nothing to say.
inline constexpr std::string_view kReady = "Ready";
inline constexpr std::string_view kReconciling = "Reconciling";
inline constexpr std::string_view kStalled = "Stalled";
inline constexpr std::string_view kToolchainResolved = "ToolchainResolved";

/// A superseded revision that is still kept.
struct RevisionRecord {
  std::string name;  ///< ten hex digits
  std::int64_t generation = 0;
  std::string toolchain;
  std::string renderer_version;
  std::string superseded_at;  ///< RFC 3339; empty for the revision that serves
  std::string uid;            ///< of its ConfigMap: one of the same name made by others has another
  friend bool operator==(const RevisionRecord&, const RevisionRecord&) = default;
};

struct ResolvedToolchain {
  std::string requested;      ///< spec.toolchain.version that was resolved, "1.22"
  std::string version;        ///< what it resolved to, "1.22.3"
  std::string resolve_token;  ///< annotation gobuildenv.dev/resolve at that time
  std::vector<goenv::ToolchainSum> sums;
};
bool operator==(const ResolvedToolchain&, const ResolvedToolchain&);

struct Status {
  std::int64_t observed_generation = 0;
  std::vector<Condition> conditions;  ///< at most one of a type
  std::string current;                ///< revision that serves
  std::string updated;                ///< revision of the newest spec, same as `current` when done
  std::vector<RevisionRecord> history;
  ResolvedToolchain toolchain;
  std::int32_t nodes_ready = 0;
  std::int32_t nodes_desired = 0;
  std::int32_t pods_injected = 0;
  std::int32_t pods_missed = 0;
  [[nodiscard]] const Condition* find(std::string_view type) const;
  friend bool operator==(const Status&, const Status&) = default;
};

struct GoBuildEnv {
  Metadata metadata;
  goenv::Spec spec;
  Status status;
};

/// Decodes one object as JSON text. Errors name the field, the value and what to write instead.
tl::expected<GoBuildEnv, Errors> decode(std::string_view object_json);

/// Members of `spec` that are no fields, which decode() does not look at and kubectl apply refuses:
/// a typing error would else be lost without a word. Empty where the text is no JSON object.
Errors unknown_fields(std::string_view object_json);

/// Decodes the JSON text of `spec` alone, as kept by a cache. Field paths start with "spec".
tl::expected<goenv::Spec, Errors> decode_spec(std::string_view spec_json);

/// Canonical JSON of a spec: fixed key order, enumerations and numbers always written (as the API
/// server defaults them), empty strings, lists and objects left out. decode_spec() gives it back.
std::string encode_spec(const goenv::Spec& spec);

/// The whole object without status, for printing and dry runs: apiVersion, kind, name, namespace,
/// labels, annotations, spec.
std::string encode(const GoBuildEnv& object);

/// JSON of `status` alone, of valid UTF-8. Every number is written, and every member of a
/// condition; other empty strings and lists are not, nor are nodes where there are none.
std::string encode_status(const Status& status);

/// What a cache of many objects keeps: identity, the untouched text of `spec`, decoded status.
struct Summary {
  Metadata metadata;  ///< without labels, and of the annotations gobuildenv.dev/resolve alone
  std::string spec_json;
  Status status;
};

/// One pass over the object's text with simdjson: no document tree, a few microseconds. A malformed
/// `status` counts as none, since the next write replaces it. Error: a sentence naming the field.
tl::expected<Summary, std::string> summarize(std::string_view object_json);

}  // namespace gobuildenv::crds
