#include "kube/leader_election.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "kube/rfc3339.hpp"

namespace gobuildenv::kube {
namespace {

using nlohmann::json;

const ResourceType& lease_type() {
  static const ResourceType type{"coordination.k8s.io", "v1", "leases", "Lease", true};
  return type;
}

std::string text_of(const json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t number_of(const json& object, const char* field, std::int64_t otherwise) {
  const auto found = object.find(field);
  return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>()
                                                             : otherwise;
}

}  // namespace

/// The Lease as last seen, and since when it has been exactly so.
struct LeaderElector::Record {
  bool exists = false;
  json object;  ///< whole, so that what others keep in it survives our writes
  Clock::TimePoint changed{};

  [[nodiscard]] json spec() const {
    const auto found = object.find("spec");
    return found != object.end() && found->is_object() ? *found : json::object();
  }
  [[nodiscard]] std::string holder() const { return text_of(spec(), "holderIdentity"); }
};

LeaderElector::LeaderElector(Client& client, Clock& clock, Random random,
                             LeaderElectionOptions options, LeaderCallbacks callbacks,
                             Metrics* metrics)
    : client_(client),
      clock_(clock),
      random_(std::move(random)),
      options_(std::move(options)),
      callbacks_(std::move(callbacks)),
      status_(metrics != nullptr ? metrics->leader(options_.lease.name) : Gauge{}),
      observed_(std::make_unique<Record>()) {
  clear_valid();
}

LeaderElector::~LeaderElector() { stop(Release::No); }

void LeaderElector::start() {
  thread_ = std::thread([this] { run(); });
}

void LeaderElector::stop(Release release) {
  stop_.stop();
  if (!thread_.joinable()) return;
  thread_.join();
  const bool led = is_leader();
  clear_valid();
  if (led && release == Release::Yes) give_back();
}

bool LeaderElector::is_leader() const noexcept {
  return clock_.now().time_since_epoch().count() < valid_until_.load(std::memory_order_acquire) &&
         clock_.boot_time().count() < valid_until_boot_.load(std::memory_order_acquire);
}

void LeaderElector::set_valid(Clock::TimePoint sent, Clock::Duration sent_boot) noexcept {
  const auto duration = std::chrono::duration_cast<Clock::Duration>(options_.lease_duration);
  valid_until_.store((sent + duration).time_since_epoch().count(), std::memory_order_release);
  valid_until_boot_.store((sent_boot + duration).count(), std::memory_order_release);
  status_.set(1);
}

void LeaderElector::clear_valid() noexcept {
  valid_until_.store(Clock::Duration::min().count(), std::memory_order_release);
  valid_until_boot_.store(Clock::Duration::min().count(), std::memory_order_release);
  status_.set(0);
}

void LeaderElector::run() {
  if (!acquire()) return;
  spdlog::info("leading lease={}/{} identity={}", options_.lease.ns, options_.lease.name,
               options_.identity);
  if (callbacks_.on_started) callbacks_.on_started();
  renew();
  if (stop_.stopped()) return;  // stop() decides what becomes of the lease
  clear_valid();
  spdlog::error("leadership lost lease={}/{} identity={}", options_.lease.ns, options_.lease.name,
                options_.identity);
  // For good: a process on its way out must neither lead again nor let its workers write again.
  if (callbacks_.on_lost) callbacks_.on_lost();
}

/// Tries until we hold the lease; false when stopped.
bool LeaderElector::acquire() {
  while (!stop_.stopped()) {
    const auto attempt = try_acquire_or_renew(clock_.now() + options_.renew_deadline);
    if (attempt == Attempt::Held && is_leader()) return true;
    const auto wait =
        std::chrono::duration<double>(options_.retry_period) * (1.0 + options_.jitter * random_());
    if (!stop_.sleep(clock_, std::chrono::duration_cast<Clock::Duration>(wait))) return false;
  }
  return false;
}

/// Renews until it has not worked for renew_deadline, somebody else holds the lease, or stop().
void LeaderElector::renew() {
  auto renewed = clock_.now();
  while (true) {
    if (!stop_.sleep(clock_, options_.retry_period)) return;
    const auto give_up = renewed + options_.renew_deadline;
    const auto before = clock_.now();
    // After a long stop of the process the lease is over, whoever holds it now.
    if (before >= give_up || !is_leader()) return;
    switch (try_acquire_or_renew(give_up)) {
      case Attempt::Held:
        renewed = before;
        break;
      case Attempt::NotHeld:
        return;
      case Attempt::Failed:
        break;
    }
  }
}

LeaderElector::Attempt LeaderElector::try_acquire_or_renew(Deadline deadline) {
  // While we lead, the record as we wrote it is still the truth, or the write conflicts.
  if (!is_leader()) {
    auto answer = client_.get(lease_type(), options_.lease, deadline);
    if (answer) {
      observe(*answer);
    } else if (answer.error().kind == Error::Kind::NotFound) {
      *observed_ = Record{};
    } else {
      spdlog::warn("lease not read lease={}/{} error={}", options_.lease.ns, options_.lease.name,
                   answer.error().message);
      return Attempt::Failed;
    }
  }

  json spec = observed_->spec();
  const std::string holder = observed_->holder();
  const bool ours = holder == options_.identity;
  if (observed_->exists && !holder.empty() && !ours) {
    const std::chrono::seconds stated(number_of(
        spec, "leaseDurationSeconds",
        std::chrono::duration_cast<std::chrono::seconds>(options_.lease_duration).count()));
    const auto duration =
        std::clamp<Clock::Duration>(stated, std::chrono::seconds(1), std::chrono::hours(1));
    if (clock_.now() < observed_->changed + duration) return Attempt::NotHeld;
  }

  if (!ours && !is_leader()) led_until_ = parse_rfc3339(text_of(spec, "renewTime"));
  // Before the request leaves: another replica cannot start its count earlier than this.
  const auto sent = clock_.now();
  const auto sent_boot = clock_.boot_time();
  const std::string time = format_micro_time(clock_.wall_now());
  spec["holderIdentity"] = options_.identity;
  spec["leaseDurationSeconds"] =
      std::chrono::duration_cast<std::chrono::seconds>(options_.lease_duration).count();
  spec["renewTime"] = time;
  if (!ours || !spec.contains("acquireTime")) spec["acquireTime"] = time;
  const auto transitions = number_of(spec, "leaseTransitions", 0);
  spec["leaseTransitions"] = !ours && observed_->exists ? transitions + 1 : transitions;

  json object = observed_->exists ? observed_->object : json::object();
  object["apiVersion"] = "coordination.k8s.io/v1";
  object["kind"] = "Lease";
  object["metadata"]["name"] = options_.lease.name;
  object["metadata"]["namespace"] = options_.lease.ns;
  object["metadata"].erase("managedFields");
  object["spec"] = std::move(spec);
  return write(object.dump(), !observed_->exists, deadline, sent, sent_boot);
}

LeaderElector::Attempt LeaderElector::write(std::string body, bool create, Deadline deadline,
                                            Clock::TimePoint sent, Clock::Duration sent_boot) {
  auto answer = create ? client_.create(lease_type(), options_.lease.ns, body, deadline)
                       : client_.update(lease_type(), options_.lease, body, "", deadline);
  if (answer) {
    observe(*answer);
    set_valid(sent, sent_boot);
    return Attempt::Held;
  }
  spdlog::warn("lease not written lease={}/{} error={}", options_.lease.ns, options_.lease.name,
               answer.error().message);
  const auto kind = answer.error().kind;
  if (kind != Error::Kind::Conflict && kind != Error::Kind::AlreadyExists &&
      kind != Error::Kind::NotFound) {
    return Attempt::Failed;
  }
  // Somebody wrote it: perhaps a write of our own whose answer was lost, perhaps another leader.
  auto current = client_.get(lease_type(), options_.lease, deadline);
  if (!current) {
    if (current.error().kind == Error::Kind::NotFound) *observed_ = Record{};
    return Attempt::Failed;
  }
  observe(*current);
  return observed_->holder() == options_.identity ? Attempt::Failed : Attempt::NotHeld;
}

void LeaderElector::observe(std::string_view text) {
  json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return;
  const auto version = [](const json& lease) {
    const auto metadata = lease.find("metadata");
    return metadata != lease.end() && metadata->is_object() ? text_of(*metadata, "resourceVersion")
                                                            : std::string();
  };
  // Changed is: another version, or (were versions missing) another record.
  if (!observed_->exists || version(object) != version(observed_->object) ||
      object.value("spec", json()) != observed_->object.value("spec", json())) {
    observed_->changed = clock_.now();
  }
  observed_->exists = true;
  if (!object["metadata"].is_object()) object["metadata"] = json::object();
  observed_->object = std::move(object);
  const std::string holder = observed_->holder();
  if (holder == reported_leader_) return;
  reported_leader_ = holder;
  if (!holder.empty() && callbacks_.on_new_leader) callbacks_.on_new_leader(holder);
}

/// An empty holder with a duration of 1 s, as client-go does: whoever waits takes it at once.
void LeaderElector::give_back() {
  json object = observed_->object;
  json spec = observed_->spec();
  spec["holderIdentity"] = "";
  spec["leaseDurationSeconds"] = 1;
  spec["renewTime"] = spec["acquireTime"] = format_micro_time(clock_.wall_now());
  object["metadata"].erase("managedFields");
  object["spec"] = std::move(spec);
  const auto answer = client_.update(lease_type(), options_.lease, object.dump(), "",
                                     clock_.now() + options_.retry_period);
  if (!answer) {
    spdlog::warn("lease not released lease={}/{} error={}", options_.lease.ns, options_.lease.name,
                 answer.error().message);
  }
}

}  // namespace gobuildenv::kube
