#include "controllers/gobuildenv/decide.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "controllers/gobuildenv/conditions.hpp"
#include "controllers/gobuildenv/export.hpp"
#include "controllers/gobuildenv/retention.hpp"
#include "controllers/gobuildenv/status.hpp"
#include "controllers/nodes/decide.hpp"
#include "goenv/version.hpp"

namespace gobuildenv::controllers {

bool needs_resolution(std::string_view requested) {
  const auto version = goenv::parse_version(requested);
  return version && version->is_range() && *version >= goenv::kFirstSwitchingGo;
}

namespace {

using crds::ConditionStatus;
using State = ToolchainAnswer::State;
using Need = EnvironmentDecision::Need;

/// Bytes of a condition's message: a spec can be wrong in a thousand places.
constexpr std::size_t kMaxMessage = 2000;

std::string shorten(std::string text) {
  if (text.size() <= kMaxMessage) return text;
  std::size_t end = kMaxMessage;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  text.resize(end);
  return text + " …";
}

class Decider {
 public:
  Decider(const EnvironmentFacts& facts, const DecideOptions& options)
      : facts_(facts), options_(options), next_(facts.status) {}

  EnvironmentDecision run() {
    if (facts_.deleting) return {};
    reconcile();
    if (out_.need != Need::Nothing) {
      EnvironmentDecision ask;
      ask.need = out_.need;
      ask.toolchain_request = out_.toolchain_request;
      ask.fresh_toolchain = out_.fresh_toolchain;
      return ask;
    }
    remove_tampered();
    retain();
    record_uids();
    export_variables();
    finish();
    return std::move(out_);
  }

 private:
  [[nodiscard]] const ConfigMapFact* revision(std::string_view hash) const {
    for (const ConfigMapFact& fact : facts_.config_maps) {
      if (!fact.is_export && fact.hash == hash &&
          fact.name == goenv::config_map_name(facts_.name, hash)) {
        return &fact;
      }
    }
    return nullptr;
  }

  static bool usable(const ConfigMapFact* fact) {
    return fact != nullptr && fact->ownership == Ownership::Ours && fact->intact && !fact->deleting;
  }

  void set(std::string_view type, ConditionStatus status, std::string reason, std::string message) {
    set_condition(next_, {std::string(type), status, facts_.generation, format_time(facts_.now),
                          std::move(reason), shorten(std::move(message))});
  }

  void recheck(std::int64_t seconds) {
    seconds = std::max<std::int64_t>(seconds, 1);
    out_.recheck = out_.recheck ? std::min(*out_.recheck, seconds) : seconds;
  }

  /// A release may appear, a proxy may come back.
  void recheck_answer(const ToolchainAnswer& answer) {
    recheck(answer.retry_after > 0 ? answer.retry_after : options_.retry_toolchain);
  }

  [[nodiscard]] std::string what_serves() const {
    if (next_.current.empty()) return "no revision serves yet";
    const bool made = std::any_of(out_.creates.begin(), out_.creates.end(), [&](const auto& item) {
      return !item.is_export && item.hash == next_.current;
    });
    return made || usable(revision(next_.current))
               ? fmt::format("revision {} keeps serving", next_.current)
               : fmt::format("revision {} is lost and none serves", next_.current);
  }

  void reconcile() {
    const crds::Condition* ready = facts_.status.find(crds::kReady);
    const bool is_ready = ready != nullptr && ready->status == ConditionStatus::True;
    const bool was_refused = ready != nullptr && (ready->reason == kConfigMapRefused ||
                                                  ready->reason == kConfigMapFailed);
    accepted_ = (is_ready || was_refused) && ready->observed_generation == facts_.generation;
    const bool settled = is_ready && accepted_ &&
                         facts_.status.observed_generation == facts_.generation &&
                         usable(revision(facts_.status.current));
    if (settled && !re_resolved()) return;
    if (out_.need != Need::Nothing) return;

    if (!facts_.spec && facts_.spec_errors.empty()) {
      out_.need = Need::Spec;
      return;
    }
    next_.observed_generation = facts_.generation;
    // What was accepted once is not refused by a rule that came later.
    const std::vector<goenv::FieldError> errors = !facts_.spec ? facts_.spec_errors
                                                  : accepted_  ? std::vector<goenv::FieldError>{}
                                                               : goenv::validate(*facts_.spec);
    if (!errors.empty()) {
      stalled("InvalidSpec", crds::describe(errors));
      return;
    }
    if (resolve_toolchain()) serve();
  }

  /// For a settled environment: whether the annotation gobuildenv.dev/resolve brought another
  /// version, so that a new revision is due.
  bool re_resolved() {
    const crds::ResolvedToolchain& resolved = facts_.status.toolchain;
    if (facts_.resolve == resolved.resolve_token) {
      settle();
      return false;
    }
    if (!needs_resolution(resolved.requested)) {
      next_.toolchain.resolve_token = facts_.resolve;
      settle();
      return false;
    }
    if (!facts_.answer) {
      ask(resolved.requested);
      return false;
    }
    switch (facts_.answer->state) {
      case State::Pending:
        return false;
      // Nobody waits for it: what was served is served, and ToolchainResolved tells of the retry.
      // Reconciling would keep GitOps tools waiting for as long as a proxy is down.
      case State::Failed:
      case State::Final:
        set(crds::kToolchainResolved, ConditionStatus::False, facts_.answer->reason,
            facts_.answer->message);
        clear_condition(next_, crds::kReconciling);
        recheck_answer(*facts_.answer);
        return false;
      case State::Resolved:
        break;
    }
    if (facts_.answer->version != resolved.version) return true;
    next_.toolchain.resolve_token = facts_.resolve;
    settle();
    return false;
  }

  /// Takes back what a failure that is over has left. Writes nothing that is as it should be: new
  /// wording in a new version must not touch every environment.
  void settle() {
    clear_condition(next_, crds::kReconciling);
    clear_condition(next_, crds::kStalled);
    const crds::Condition* resolved = next_.find(crds::kToolchainResolved);
    if (resolved == nullptr || resolved->status != ConditionStatus::True) toolchain_resolved();
  }

  void toolchain_resolved() {
    const std::string& requested = next_.toolchain.requested;
    const bool exact = !needs_resolution(requested);
    set(crds::kToolchainResolved, ConditionStatus::True, exact ? "Exact" : "Resolved",
        exact ? fmt::format("go{}", next_.toolchain.version)
              : fmt::format("{} is go{}", requested, next_.toolchain.version));
  }

  void ask(const std::string& requested) {
    out_.need = Need::Toolchain;
    out_.toolchain_request = requested;
    out_.fresh_toolchain = facts_.resolve != facts_.status.toolchain.resolve_token &&
                           !facts_.status.toolchain.version.empty();
  }

  void stalled(const std::string& reason, const std::string& why) {
    set(crds::kStalled, ConditionStatus::True, reason, why);
    set(crds::kReady, ConditionStatus::False, reason, fmt::format("{}; {}", what_serves(), why));
    clear_condition(next_, crds::kReconciling);
  }

  /// Sets next_.toolchain; false when the version is not known and nothing can be rendered.
  bool resolve_toolchain() {
    const std::string& requested = facts_.spec->toolchain.version;
    crds::ResolvedToolchain& resolved = next_.toolchain;
    const bool same = requested == resolved.requested && facts_.resolve == resolved.resolve_token &&
                      !resolved.version.empty();
    std::string version;
    if (!needs_resolution(requested)) {
      version = requested;
    } else if (same) {
      version = resolved.version;
    } else if (!facts_.answer) {
      ask(requested);
      return false;
    } else if (facts_.answer->state == State::Resolved) {
      version = facts_.answer->version;
    } else {
      unresolved(*facts_.answer);
      return false;
    }
    if (resolved.version != version) resolved.sums.clear();
    resolved.requested = requested;
    resolved.version = version;
    resolved.resolve_token = facts_.resolve;
    return true;
  }

  void unresolved(const ToolchainAnswer& answer) {
    if (answer.state == State::Pending) {
      // Looked at again when the answer is there; until then there is nothing to say.
      next_ = facts_.status;
      return;
    }
    set(crds::kToolchainResolved, ConditionStatus::False, answer.reason, answer.message);
    recheck_answer(answer);
    if (answer.state == State::Final) {
      stalled(answer.reason, answer.message);
      return;
    }
    clear_condition(next_, crds::kStalled);
    set(crds::kReconciling, ConditionStatus::True, "WaitingForToolchain", answer.message);
    set(crds::kReady, ConditionStatus::Unknown, answer.reason,
        fmt::format("{}; {}", what_serves(), answer.message));
  }

  /// Renders, finds or creates the revision and makes it the served one.
  void serve() {
    goenv::Revision rendered =
        goenv::render(*facts_.spec, next_.toolchain.version, options_.defaults);
    const std::optional<std::string> hash = place(rendered.data);
    if (refused_ != nullptr) {
      toolchain_resolved();
      stalled(
          std::string(refused_->second.reason()),
          describe_refusal(refused_->first, refused_->second, facts_.status.find(crds::kStalled)));
      recheck(refused_->second.retry_in);
      return;
    }
    if (!hash) {
      stalled(std::string(kNameTaken),
              fmt::format("each of {} names for this revision is in use by ConfigMaps "
                          "of others; delete those named {}-<ten hex digits>",
                          goenv::kMaxSalts, facts_.name));
      recheck(options_.retry_blocked);
      return;
    }
    // Told with the status that names the other one, hence once.
    if (!taken_.empty()) {
      out_.events.push_back({true, std::string(kNameTaken),
                             fmt::format("ConfigMap {} exists and is not controlled by this "
                                         "GoBuildEnv; it is left alone and {} is used",
                                         taken_, goenv::config_map_name(facts_.name, *hash))});
    }
    pod_json_ = std::move(rendered.data["pod.json"]);
    make_current(*hash);
    clear_condition(next_, crds::kReconciling);
    clear_condition(next_, crds::kStalled);
    set(crds::kReady, ConditionStatus::True, "Served", fmt::format("revision {} is served", *hash));
    toolchain_resolved();
  }

  /// The hash under which `data` is, or is to be, a ConfigMap of ours. None where it is refused or
  /// where every name is taken.
  std::optional<std::string> place(const std::map<std::string, std::string>& data) {
    const ConfigMapFact* current = revision(facts_.status.current);
    if (usable(current) &&
        goenv::content_hash(data, current->salt, options_.sha256) == current->hash) {
      return current->hash;
    }
    for (int attempt = 0; attempt < goenv::kMaxSalts; ++attempt) {
      const std::string salt = goenv::salt_of(attempt);
      std::string hash = goenv::content_hash(data, salt, options_.sha256);
      const ConfigMapFact* fact = revision(hash);
      if (usable(fact)) return hash;
      if (fact == nullptr) {
        std::string name = goenv::config_map_name(facts_.name, hash);
        if (const auto refused = facts_.refused.find(name); refused != facts_.refused.end()) {
          refused_ = &*refused;
          return std::nullopt;
        }
        out_.creates.push_back({.name = std::move(name),
                                .salt = salt,
                                .is_export = false,
                                .hash = hash,
                                .revision = {},
                                .replaces = {},
                                .data = data});
        return hash;
      }
      // Spoilt, on its way out, or of others: the kubelet does not read an immutable ConfigMap
      // again, so the content gets another name. The object of others is left alone.
      if (fact->ownership == Ownership::Foreign && taken_.empty()) taken_ = fact->name;
    }
    return std::nullopt;
  }

  void make_current(const std::string& hash) {
    const bool known = std::any_of(next_.history.begin(), next_.history.end(),
                                   [&](const auto& entry) { return entry.name == hash; });
    if (next_.current != hash || !known) {
      for (crds::RevisionRecord& entry : next_.history) {
        if (entry.name == next_.current && entry.superseded_at.empty()) {
          entry.superseded_at = format_time(facts_.now);
        }
      }
      std::erase_if(next_.history, [&](const auto& entry) { return entry.name == hash; });
      next_.history.insert(next_.history.begin(),
                           {hash, facts_.generation, next_.toolchain.version,
                            std::string(goenv::kRendererVersion), std::string(), std::string()});
    }
    next_.current = hash;
    next_.updated = hash;
  }

  /// The status vouches for what was verified. One that is being created has no uid yet.
  void record_uids() {
    for (crds::RevisionRecord& entry : next_.history) {
      const ConfigMapFact* fact = revision(entry.name);
      entry.uid = usable(fact) ? fact->uid : std::string();
    }
  }

  void remove_tampered() {
    // Its name is spoilt as long as it is there to be seen: first another takes its place.
    if (refused_ != nullptr) return;
    for (const ConfigMapFact& fact : facts_.config_maps) {
      if (fact.is_export || fact.intact || fact.deleting || fact.ownership != Ownership::Ours) {
        continue;
      }
      out_.deletes.push_back({fact.name, fact.uid, "tampered"});
      out_.events.push_back(
          {true, "RevisionTampered",
           fmt::format("ConfigMap {} was changed by somebody else and is removed; {}", fact.name,
                       fact.hash == next_.current ? "it no longer serves" : what_serves())});
    }
  }

  void retain() {
    Retention retention = decide_retention(facts_, next_, options_.keep_superseded);
    for (DeleteConfigMap& removal : retention.deletes) out_.deletes.push_back(std::move(removal));
    next_.history = std::move(retention.history);
    if (retention.recheck) recheck(*retention.recheck);
  }

  void export_variables() {
    std::string pod_json = pod_json_;
    if (pod_json.empty()) {
      const ConfigMapFact* current = revision(next_.current);
      if (usable(current)) pod_json = current->pod_json;
    }
    Export result = decide_export(facts_, next_.current, pod_json, options_.sha256);
    for (DeleteConfigMap& removal : result.deletes) out_.deletes.push_back(std::move(removal));
    if (result.create) {
      const auto refused = facts_.refused.find(result.create->name);
      if (refused != facts_.refused.end()) {
        set(kExported, ConditionStatus::False, std::string(refused->second.reason()),
            describe_refusal(refused->first, refused->second, facts_.status.find(kExported)));
        recheck(refused->second.retry_in);
        return;
      }
      out_.creates.push_back(std::move(*result.create));
    }
    if (!result.condition_known) return;
    if (!result.wanted) {
      clear_condition(next_, kExported);
    } else if (result.blocked_by.empty()) {
      set(kExported, ConditionStatus::True, "Exported",
          fmt::format("ConfigMap {} holds revision {}", facts_.export_name, next_.current));
    } else {
      set(kExported, ConditionStatus::False, std::string(kNameTaken), result.blocked_by);
      recheck(options_.retry_blocked);
    }
  }

  void finish() {
    crds::Status with_counts = next_;
    with_counts.pods_injected = facts_.pods.injected;
    with_counts.pods_missed = facts_.pods.missed;
    const bool pods_differ = with_counts.pods_injected != facts_.status.pods_injected ||
                             with_counts.pods_missed != facts_.status.pods_missed;
    if (next_ != facts_.status || (pods_differ && facts_.counts_due) || nodes_news()) {
      count_nodes(with_counts);
      out_.status = std::move(with_counts);
    } else if (pods_differ) {
      recheck(30);
    }
    if (out_.status) note_transitions(facts_.status, *out_.status, out_.events);
  }

  /// A change of nodes alone is written when its turn has come: it concerns every environment.
  [[nodiscard]] bool nodes_news() const {
    return facts_.nodes && facts_.nodes_due &&
           nodes_differ(facts_.status, facts_.nodes(facts_.status.toolchain.version),
                        facts_.mounted);
  }

  void count_nodes(crds::Status& status) const {
    if (!facts_.nodes) return;
    set_nodes(status, facts_.nodes(status.toolchain.version), facts_.mounted, facts_.generation,
              facts_.now);
  }

  const EnvironmentFacts& facts_;
  const DecideOptions& options_;
  crds::Status next_;
  EnvironmentDecision out_;
  bool accepted_ = false;  ///< the spec of this generation was found valid before
  const std::pair<const std::string, Refusal>* refused_ = nullptr;  ///< of the revision to be made
  std::string taken_;     ///< the first ConfigMap of others whose name the revision cannot have
  std::string pod_json_;  ///< of the revision rendered here
};

}  // namespace

EnvironmentDecision decide(const EnvironmentFacts& facts, const DecideOptions& options) {
  return Decider(facts, options).run();
}

}  // namespace gobuildenv::controllers
