#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "webhooks/certificates/key_pair.hpp"

/// Rotation without one failed request, as a pure decision over what is stored and what is
/// published. A new CA goes three steps: it is stored and published beside the old one; once every
/// API server has seen that, the leaf is replaced by one it signed; once every replica serves that
/// leaf, the old CA is dropped. A leaf alone is replaced in one step.
///
/// The caller's loop: `decide()`; on WriteSecret call `advance()`, write the result with a
/// resourceVersion precondition; on Publish write `bundle` as caBundle of every webhook; then
/// decide again, at the latest at `recheck`.
namespace gobuildenv::webhooks::certificates {

/// The content of the Secret.
struct Stored {
  KeyPair leaf;             ///< served; keys tls.crt and tls.key
  KeyPair ca;               ///< signed the leaf; keys ca.crt and ca.key
  KeyPair next_ca;          ///< published, not yet used; keys next-ca.crt and next-ca.key
  std::string previous_ca;  ///< certificate still published, replicas may serve its leaf;
                            ///< key previous-ca.crt

  friend bool operator==(const Stored&, const Stored&) = default;
};

/// To and from the Secret's decoded `data`. Unknown keys are ignored, missing ones are empty.
std::map<std::string, std::string> encode(const Stored& stored);
Stored decode(const std::map<std::string, std::string>& data);

struct RotationOptions {
  std::vector<std::string> dns_names;  ///< of the Service: "NAME.NS.svc", …; see service_names()
  std::vector<std::string> ip_addresses;
  std::chrono::seconds ca_lifetime{std::chrono::hours{24 * 365}};
  std::chrono::seconds leaf_lifetime{std::chrono::hours{24 * 7}};
  /// From publishing a bundle to relying on it, and from a leaf's issue to relying on every replica
  /// serving it. Longer than any watch takes to deliver.
  std::chrono::seconds settle{std::chrono::minutes{2}};
};

/// "NAME.NS.svc", "NAME.NS.svc.cluster.local", "NAME.NS" and "NAME".
std::vector<std::string> service_names(const std::string& name, const std::string& ns);

struct Observed {
  TimePoint now;
  std::optional<Stored> stored;        ///< absent: there is no Secret
  std::vector<std::string> published;  ///< caBundle (PEM) of every webhook that is to have it
  /// Since when this process has seen `published` as it is; absent counts as just now.
  std::optional<TimePoint> published_since;
};

enum class Step {
  None,       ///< nothing to do before `recheck`
  CreateAll,  ///< write Secret: new CA and leaf, because none is stored or what is cannot be used
  StageCa,    ///< write Secret: a next CA beside the current one
  SwitchCa,   ///< write Secret: the next CA becomes the current one and signs a new leaf
  RenewLeaf,  ///< write Secret: a new leaf of the current CA
  DropOldCa,  ///< write Secret: forget the previous CA
  Publish,    ///< write `bundle` to the webhook configurations
};

struct Decision {
  Step step = Step::None;
  std::string reason;  ///< one clause for the log: "leaf expires in 2 days"
  std::string bundle;  ///< what caBundle should be for what is stored now
  TimePoint recheck;   ///< when time alone changes the answer
};

/// The next step. Pure: same input, same answer.
Decision decide(const Observed& observed, const RotationOptions& options);

/// What the Secret is to hold after `step` (one of the "write Secret" steps); generates keys.
tl::expected<Stored, std::string> advance(Step step, const std::optional<Stored>& stored,
                                          TimePoint now, const RotationOptions& options);

/// caBundle for `stored`: current, next and previous CA certificates.
std::string bundle(const Stored& stored);

/// For logs: "stage-ca".
const char* to_string(Step step);

}  // namespace gobuildenv::webhooks::certificates
