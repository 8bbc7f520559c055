#include "agent/node/node_cache_publisher.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "crds/node_cache.hpp"
#include "kube/object_meta.hpp"

namespace gobuildenv::agent {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using Duration = kube::Clock::Duration;
using TimePoint = kube::Clock::TimePoint;
using ErrorKind = kube::Error::Kind;

const kube::ResourceType kNodeCacheType{"gobuildenv.dev", "v1alpha1", "gonodecaches", "GoNodeCache",
                                        false};
const kube::ResourceType kNodeType{"", "v1", "nodes", "Node", false};
constexpr seconds kRequestTimeout{15};
/// The number of nodes sets how slowly each writes; it is asked for at most this often.
constexpr minutes kRecount{30};
/// Volumes come and go without a word to us.
constexpr seconds kTick{60};
constexpr seconds kTickUnsettled{2};
constexpr seconds kSettle{30};
constexpr seconds kRetryLook{10};

kube::ApplyOptions apply_options(const char* subresource) {
  kube::ApplyOptions out;
  out.field_manager = "gobuildenv-agent";
  out.subresource = subresource;
  return out;
}

}  // namespace

NodeCachePublisher::NodeCachePublisher(std::string node, std::function<NodeCacheFacts()> gather,
                                       NodeCachePublisherEdges edges)
    : node_(std::move(node)),
      gather_(std::move(gather)),
      edges_(std::move(edges)),
      written_(edges_.metrics.counter("gobuildenv_node_cache_writes_total",
                                      "Writes of this node's GoNodeCache, by outcome.",
                                      {{"result", "ok"}})),
      failed_(edges_.metrics.counter("gobuildenv_node_cache_writes_total",
                                     "Writes of this node's GoNodeCache, by outcome.",
                                     {{"result", "error"}})),
      started_(edges_.clock.now()),
      plan_(edges_.random, started_) {}

NodeCachePublisher::~NodeCachePublisher() { stop(); }

void NodeCachePublisher::start() {
  thread_ = std::thread([this] { run(); });
}

void NodeCachePublisher::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void NodeCachePublisher::changed() {
  {
    const std::lock_guard lock(mutex_);
    changed_ = true;
  }
  wake_.notify_all();
}

void NodeCachePublisher::run() {
  for (;;) {
    const TimePoint until = turn();
    std::unique_lock lock(mutex_);
    while (!changed_ && !stopping_ && edges_.clock.now() < until) {
      edges_.clock.wait_until(lock, wake_, until);
    }
    if (stopping_) return;
    changed_ = false;
  }
}

kube::Deadline NodeCachePublisher::deadline() const { return edges_.clock.now() + kRequestTimeout; }

TimePoint NodeCachePublisher::turn() {
  const TimePoint now = edges_.clock.now();
  if (now >= check_at_ && !look(now)) {
    // Without the first look nothing is known; later ones can wait.
    check_at_ = now + (looked_ ? plan_.rates().check : Duration(kRetryLook));
    if (!looked_) return check_at_;
  }
  const NodeCacheFacts facts = gather_();
  crds::NodeCacheStatus wanted = decide_node_cache(facts, memory_);
  memory_.status = wanted;
  memory_.freed_seen = facts.freed_total;
  const bool fetching =
      std::any_of(wanted.toolchains.begin(), wanted.toolchains.end(),
                  [](const auto& t) { return t.state == crds::ToolchainPhase::Fetching; });

  Urgency urgency = uid_.empty() || !published_ ? Urgency::Now : compare(*published_, wanted);
  // A restart is no news: the kubelet registers the driver within seconds, and last uses are known
  // once the disk was looked at.
  const bool settled = facts.registered || now >= started_ + kSettle;
  if (!settled || (urgency == Urgency::Drift && !facts.looked)) urgency = Urgency::None;
  if (plan_.due(urgency, now)) {
    if ((uid_.empty() && !create()) || !write(wanted)) {
      failed_.add();
      plan_.failed(now);
      return plan_.next().value_or(now + kTick);
    }
    tell(published_.value_or(crds::NodeCacheStatus{}), wanted);
    published_ = std::move(wanted);
    plan_.wrote(now);
    written_.add();
  }
  const bool unsettled = fetching || !facts.registered;
  TimePoint next = std::min(check_at_, now + (unsettled ? kTickUnsettled : kTick));
  if (plan_.next()) next = std::min(next, *plan_.next());
  return next;
}

bool NodeCachePublisher::look(TimePoint now) {
  if ((!counted_at_ || now >= *counted_at_ + kRecount) && count_nodes()) counted_at_ = now;
  const auto json = edges_.client.get(kNodeCacheType, {{}, node_}, deadline());
  const Duration jitter = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(plan_.rates().check) * (edges_.random() / 2));
  if (!json && json.error().kind != ErrorKind::NotFound) {
    log_failure("GoNodeCache cannot be read", json.error());
    return false;
  }
  check_at_ = now + plan_.rates().check + jitter;
  if (!json) {
    if (!uid_.empty()) spdlog::info("GoNodeCache is gone and will be made again node={}", node_);
    uid_.clear();
    published_.reset();
    looked_ = true;
    return true;
  }
  auto found = crds::decode_node_cache(*json);
  if (!found) {
    // Written by another version, or by somebody else: ours replaces it.
    const auto identity = kube::decode_identity(*json);
    uid_ = identity ? identity->meta.uid : std::string();
    published_.reset();
    looked_ = true;
    return true;
  }
  if (!looked_) {
    memory_.status = found->status;
    memory_.reclaimed_before = found->status.reclaimed;
  }
  looked_ = true;
  uid_ = std::move(found->uid);
  published_ = std::move(found->status);
  return true;
}

/// By the API server's own count of what a page of one leaves out.
bool NodeCachePublisher::count_nodes() {
  kube::ListOptions options;
  options.limit = 1;
  options.metadata_only = true;
  const auto page = edges_.client.list(kNodeCacheType, options, deadline());
  if (!page) {
    log_failure("GoNodeCaches cannot be counted", page.error());
    return false;
  }
  const auto json = nlohmann::json::parse(page->body, nullptr, false);
  const auto left = nlohmann::json::json_pointer("/metadata/remainingItemCount");
  std::size_t nodes = 1;
  if (json.is_object() && json.contains(left) && json[left].is_number_unsigned()) {
    nodes += json[left].get<std::size_t>();
  }
  plan_.set_rates(WriteRates::for_nodes(nodes));
  return true;
}

bool NodeCachePublisher::create() {
  const auto node = edges_.client.get(kNodeType, {{}, node_}, deadline());
  if (!node) {
    log_failure("the Node cannot be read", node.error());
    return false;
  }
  const auto owner = kube::decode_identity(*node);
  if (!owner) {
    spdlog::warn("the Node cannot be read node={} error=\"{}\"", node_, owner.error());
    return false;
  }
  const auto made = edges_.client.apply(kNodeCacheType, {{}, node_},
                                        crds::encode_node_cache(node_, owner->meta.uid),
                                        apply_options(""), deadline());
  if (!made) {
    log_failure("GoNodeCache cannot be made", made.error());
    return false;
  }
  const auto identity = kube::decode_identity(*made);
  if (!identity) return false;
  uid_ = identity->meta.uid;
  return true;
}

bool NodeCachePublisher::write(const crds::NodeCacheStatus& status) {
  const auto written = edges_.client.apply(kNodeCacheType, {{}, node_},
                                           crds::encode_node_cache_status(node_, uid_, status),
                                           apply_options("status"), deadline());
  if (written) {
    last_failure_.clear();
    return true;
  }
  // Gone, or another one of the same name: what is there decides.
  const auto kind = written.error().kind;
  if (kind == ErrorKind::NotFound || kind == ErrorKind::Conflict) {
    check_at_ = {};
  } else {
    log_failure("GoNodeCache cannot be written", written.error());
  }
  return false;
}

void NodeCachePublisher::tell(const crds::NodeCacheStatus& before,
                              const crds::NodeCacheStatus& after) {
  for (NodeCacheNote& note : note_changes(before, after)) {
    kube::Event event;
    event.type = kNodeCacheType;
    event.key = {{}, node_};
    event.uid = uid_;
    event.warning = note.warning;
    event.reason = std::move(note.reason);
    event.action = std::move(note.subject);
    event.note = std::move(note.message);
    edges_.events.record(std::move(event));
  }
}

/// The same failure, every few minutes for hours, is said once.
void NodeCachePublisher::log_failure(const char* what, const kube::Error& error) {
  std::string text = fmt::format("{} error=\"{}\"", what, error.message);
  if (error.kind == ErrorKind::ShuttingDown || text == last_failure_) return;
  spdlog::warn("{} node={}", text, node_);
  last_failure_ = std::move(text);
}

}  // namespace gobuildenv::agent
