#include "controllers/serving/lookup.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "controllers/serving/selector.hpp"
#include "goenv/names.hpp"
#include "goenv/revision.hpp"

namespace gobuildenv::controllers {

using webhooks::CsiDriver;
using webhooks::NamespaceInjection;
using webhooks::ServedEnvironment;

kube::Index<EnvironmentRecord> selecting_index() {
  return {std::string(kSelectingIndex),
          [](const kube::ObjectKey& key, const EnvironmentRecord& record) {
            return record.rare().selecting ? std::vector{key.ns} : std::vector<std::string>{};
          }};
}

ServingLookup::ServingLookup(Sources sources, std::chrono::milliseconds live_timeout)
    : sources_(sources), live_timeout_(live_timeout) {}

kube::Deadline ServingLookup::deadline() const {
  return std::chrono::steady_clock::now() + live_timeout_;
}

kube::Deadline ServingLookup::short_deadline() const {
  return std::chrono::steady_clock::now() + live_timeout_ / 3;
}

ServingLookup::Answer ServingLookup::find(std::string_view ns, std::string_view name) const {
  const kube::ObjectKey key{std::string(ns), std::string(name)};
  if (auto served = served_before(key)) return {Found::Yes, std::move(served)};
  const kube::Deadline until = deadline();
  const auto cached = sources_.environments.find(key);
  if (cached && !cached->value->current.empty()) return serve(*cached, until);
  // Absent or not served here may be served by now: our watch is behind, as on the replica that
  // does not lead when `kubectl wait` has just seen Ready, or the first list is still coming.
  const auto live = sources_.client.get(kGoBuildEnvType, key, until);
  if (live) {
    if (const auto decoded = decode_environment(*live)) return serve(*decoded, until);
    return {Found::Unknown, nullptr};
  }
  if (cached) return {Found::NotServed, nullptr};
  const bool absent = live.error().kind == kube::Error::Kind::NotFound;
  return {absent || sources_.environments.has_synced() ? Found::No : Found::Unknown, nullptr};
}

std::shared_ptr<const ServedEnvironment> ServingLookup::served_before(
    const kube::ObjectKey& key) const {
  const auto before = served_.find(key);
  if (!before || before->environment != sources_.environments.get(key) ||
      before->revision != sources_.config_maps.get(before->config_map)) {
    return nullptr;
  }
  return before->served;
}

ServingLookup::Answer ServingLookup::serve(const kube::Decoded<EnvironmentRecord>& environment,
                                           kube::Deadline until) const {
  const EnvironmentRecord& record = *environment.value;
  if (record.current.empty()) return {Found::NotServed, nullptr};
  const kube::ObjectKey& key = environment.meta.key;
  const kube::ObjectKey config_map{key.ns, goenv::config_map_name(key.name, record.current)};
  const Uid owner = Uid::of(environment.meta.uid);
  const auto cached = sources_.config_maps.find(config_map);
  if (cached && (cached->value->deleting || cached->value->owner != owner)) {
    return {Found::NotServed, nullptr};
  }
  // The cache knows no content, and may not know the revision yet: the leader has just made it, or
  // the first list is still coming.
  const auto live = sources_.client.get(kConfigMapType, config_map, until);
  if (!live) {
    const bool absent = live.error().kind == kube::Error::Kind::NotFound;
    return {absent ? Found::NotServed : Found::Unknown, nullptr};
  }
  auto content = read_config_map(*live);
  if (!content || !content->intact || content->record->deleting ||
      content->record->owner != owner) {
    return {Found::NotServed, nullptr};
  }
  auto served = std::make_shared<ServedEnvironment>();
  served->ns = key.ns;
  served->name = key.name;
  served->revision = record.current;
  served->config_map = config_map.name;
  served->pod_json = std::make_shared<const std::string>(std::move(content->pod_json));
  if (const auto& selecting = record.rare().selecting) served->pod_selector = selecting->selector;
  if (cached && cached->meta.uid == content->meta.uid) {
    served_.put({key, environment.value, config_map, cached->value, served});
  }
  return {Found::Yes, std::move(served)};
}

ServingLookup::Candidates ServingLookup::selecting(std::string_view ns,
                                                   const webhooks::Labels& labels) const {
  Candidates out;
  out.complete = sources_.environments.has_synced();
  std::optional<kube::Deadline> until;  // one for all that has to be read
  for (const auto& record : sources_.environments.by_index(kSelectingIndex, ns)) {
    const SelectingEnvironment& selecting = *record->rare().selecting;
    if (!selects(selecting.selector, labels)) continue;
    // From the caches: every pod of the namespace comes along here, asking or not.
    const kube::ObjectKey key{std::string(ns), selecting.name};
    if (auto served = served_before(key)) {
      out.environments.push_back(std::move(served));
      continue;
    }
    const auto cached = sources_.environments.find(key);
    if (!cached) continue;
    if (!until) until = deadline();
    Answer answer = serve(*cached, *until);
    if (answer.environment) {
      out.environments.push_back(std::move(answer.environment));
    } else if (answer.found == Found::Unknown) {
      out.unknown.push_back(selecting.name);
    }
  }
  std::sort(out.environments.begin(), out.environments.end(),
            [](const auto& a, const auto& b) { return a->name < b->name; });
  std::sort(out.unknown.begin(), out.unknown.end());
  return out;
}

NamespaceInjection ServingLookup::injection(std::string_view ns) const {
  const kube::ObjectKey key{{}, std::string(ns)};
  if (const auto cached = sources_.namespaces.get(key)) return cached->injection;
  if (sources_.namespaces.has_synced()) return NamespaceInjection::Unset;
  const auto live = sources_.client.get(kNamespaceType, key, short_deadline());
  if (!live) {
    const bool absent = live.error().kind == kube::Error::Kind::NotFound;
    return absent ? NamespaceInjection::Unset : NamespaceInjection::Unknown;
  }
  const auto decoded = decode_namespace(*live);
  return decoded ? decoded->value->injection : NamespaceInjection::Unknown;
}

CsiDriver ServingLookup::csi_driver() const {
  static const kube::ObjectKey key{{}, std::string(goenv::kCsiDriver)};
  const auto state = [](const CsiDriverRecord& record) {
    return record.deleting ? CsiDriver::Absent : CsiDriver::Registered;
  };
  if (const auto cached = sources_.csi_drivers.get(key)) return state(*cached);
  if (sources_.csi_drivers.has_synced()) return CsiDriver::Absent;
  const auto live = sources_.client.get(kCsiDriverType, key, short_deadline());
  if (!live) {
    const bool absent = live.error().kind == kube::Error::Kind::NotFound;
    return absent ? CsiDriver::Absent : CsiDriver::Unknown;
  }
  const auto decoded = decode_csi_driver(*live);
  return decoded ? state(*decoded->value) : CsiDriver::Unknown;
}

}  // namespace gobuildenv::controllers
