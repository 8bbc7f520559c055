#include "kube/object_cache.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace gobuildenv::kube {
namespace {

/// After this long without its watch event a write of our own no longer holds its key back: the
/// event may have been swallowed by a relist, or the object may not be selected by this cache.
constexpr std::chrono::seconds kExpectedFor{30};
/// From here on the expired ones are swept out.
constexpr std::size_t kManyExpected = 64;

}  // namespace

struct ObjectCache::Staged {
  ObjectMeta meta;
  AnyValue value;
};

/// What a list changed in the store, for the handlers. No value: it is gone.
struct ObjectCache::Made {
  ObjectMeta meta;
  std::optional<StoredItem> old;
  AnyValue value;
};

Priority priority_of(Origin origin) noexcept {
  return origin == Origin::InitialList || origin == Origin::Resync ? Priority::Low
                                                                   : Priority::Normal;
}

ObjectCache::ObjectCache(std::string resource, Clock& clock, AnyDecoder decoder,
                         std::vector<NamedIndex> indexes, InformerMetrics metrics)
    : resource_(std::move(resource)),
      clock_(clock),
      decoder_(std::move(decoder)),
      metrics_(metrics),
      store_(std::move(indexes)) {}

ObjectCache::~ObjectCache() = default;

void ObjectCache::add_handler(AnyChangeHandler handler) {
  const std::lock_guard lock(apply_mutex_);
  for (const auto& item : store_.items()) {
    call(handler, {item.meta.key, nullptr, item.value, Origin::InitialList, item.meta.uid});
  }
  handlers_.push_back(std::move(handler));
}

void ObjectCache::call(const AnyChangeHandler& handler, const AnyChange& change) const {
  try {
    handler(change);
  } catch (const std::exception& error) {
    spdlog::error("informer handler failed resource={} namespace={} name={} error={}", resource_,
                  change.key.ns, change.key.name, error.what());
  }
}

bool ObjectCache::guarded(const ObjectMeta& meta, const std::function<void()>& step) const {
  try {
    step();
    return true;
  } catch (const std::exception& error) {
    skipped(meta, error.what());
    return false;
  }
}

void ObjectCache::skipped(const ObjectMeta& meta, std::string_view why) const {
  metrics_.decode_errors.add();
  spdlog::warn("object skipped resource={} namespace={} name={} error={}", resource_, meta.key.ns,
               meta.key.name, why);
}

std::optional<StoredItem> ObjectCache::decode(std::string_view json, const ObjectMeta& meta) {
  tl::expected<StoredItem, std::string> decoded;
  if (!guarded(meta, [&] { decoded = decoder_(json); })) return std::nullopt;
  if (!decoded) {
    skipped(meta, decoded.error());
    return std::nullopt;
  }
  return StoredItem{meta, std::move(decoded->value)};
}

void ObjectCache::dispatch(const ObjectKey& key, std::string_view uid, AnyValue old_value,
                           AnyValue new_value, Origin origin) {
  const AnyChange change{key, std::move(old_value), std::move(new_value), origin, uid};
  for (const auto& handler : handlers_) call(handler, change);
}

void ObjectCache::dispatch_put(const ObjectMeta& meta, const std::optional<StoredItem>& old,
                               const AnyValue& value, Origin origin) {
  if (old && !old->meta.uid.empty() && old->meta.uid != meta.uid) {
    // Deleted and created again under one name: two objects, two changes.
    dispatch(meta.key, old->meta.uid, old->value, nullptr, origin);
    dispatch(meta.key, meta.uid, nullptr, value, origin);
  } else {
    dispatch(meta.key, meta.uid, old ? old->value : nullptr, value, origin);
  }
}

void ObjectCache::begin_replace() {
  const std::lock_guard lock(apply_mutex_);
  ++epoch_;
  staged_.clear();
}

void ObjectCache::stage(std::span<const std::string_view> page) {
  // Few enough that a write of ours never waits long for its turn.
  constexpr std::size_t kRun = 128;
  while (!page.empty()) {
    const auto run = page.first(std::min(kRun, page.size()));
    page = page.subspan(run.size());
    std::vector<Made> done;
    const std::lock_guard lock(apply_mutex_);
    for (const std::string_view json : run) {
      if (auto made = stage_one(json)) done.push_back(std::move(*made));
    }
    for (const Made& made : done)
      dispatch_put(made.meta, made.old, made.value, Origin::InitialList);
  }
}

/// With apply_mutex_ held. Nothing where no handler has to hear of it now.
std::optional<ObjectCache::Made> ObjectCache::stage_one(std::string_view json) {
  const auto identity = decode_identity(json);
  if (!identity || identity->meta.key.name.empty()) {
    metrics_.decode_errors.add();
    spdlog::warn("object skipped resource={} error={}", resource_,
                 identity ? "metadata.name is missing" : identity.error());
    return std::nullopt;
  }
  const ObjectMeta& meta = identity->meta;
  if (went_early(meta)) return std::nullopt;
  const auto present = store_.peek(meta);
  // Marked before it is decoded: an object that cannot be decoded is not a deleted one.
  if (present.exists) {
    store_.mark(meta.key, epoch_);
    if (present.same_uid && present.same_version) {
      store_.confirm(meta.key);
      return std::nullopt;
    }
  }
  auto item = decode(json, meta);
  if (!item) return std::nullopt;
  if (has_synced()) {
    staged_.push_back({std::move(item->meta), std::move(item->value)});
    return std::nullopt;
  }
  if (present.newer) return std::nullopt;
  std::optional<StoredItem> old;
  if (!guarded(meta, [&] { old = store_.put(meta, item->value, false); })) return std::nullopt;
  store_.mark(meta.key, epoch_);
  return Made{meta, std::move(old), std::move(item->value)};
}

void ObjectCache::commit_replace(std::string_view version) {
  const std::lock_guard lock(apply_mutex_);
  const auto listed = ResourceVersion::parse(version);
  const bool back = ResourceVersion::parse(applied_version_).newer_than(listed);
  if (back) {
    spdlog::warn("the API server went back in time resource={} from={} to={}", resource_,
                 applied_version_, version);
  }
  std::vector<Made> done;
  const auto gone = store_.unmarked(epoch_, back ? nullptr : &listed);
  std::vector<Staged> staged = std::exchange(staged_, {});
  // What is newer here than in the list came from a write of ours while the list was read.
  std::erase_if(staged,
                [&](const Staged& entry) { return !back && store_.peek(entry.meta).newer; });
  {
    Store::Batch batch(store_);
    for (const auto& key : gone) {
      auto old = batch.erase(key);
      done.push_back({{key, {}, {}}, std::move(old), nullptr});
    }
    for (auto& entry : staged) {
      std::optional<StoredItem> old;
      if (!guarded(entry.meta, [&] { old = batch.put(entry.meta, entry.value); })) continue;
      done.push_back({std::move(entry.meta), std::move(old), std::move(entry.value)});
    }
  }
  // Events that came before are behind the watch, too: a late answer to a write must not undo them.
  const bool ahead = ResourceVersion::parse(early_version_).newer_than(listed);
  applied_version_ = ahead ? std::exchange(early_version_, {}) : version;
  {
    const std::lock_guard expected_lock(expected_mutex_);
    std::erase_if(expected_, [&](const auto& entry) {
      if (!entry.second.version.empty()) return false;
      const auto item = store_.find(entry.first);
      return !item || item->meta.uid != entry.second.uid;
    });
  }
  publish_size();
  const auto origin = has_synced() ? Origin::Relist : Origin::InitialList;
  for (const auto& entry : done) {
    if (entry.value) {
      dispatch_put(entry.meta, entry.old, entry.value, origin);
    } else if (entry.old) {
      dispatch(entry.meta.key, entry.old->meta.uid, entry.old->value, nullptr, origin);
    }
  }
  gone_early_.clear();
  synced_.store(true, std::memory_order_release);
}

void ObjectCache::upsert(std::string_view json) { upsert(json, decode_identity(json)); }

void ObjectCache::upsert(std::string_view json,
                         const tl::expected<ObjectIdentity, std::string>& identity) {
  if (!identity || identity->meta.key.name.empty()) {
    metrics_.decode_errors.add();
    spdlog::warn("watch event skipped resource={} error={}", resource_,
                 identity ? "metadata.name is missing" : identity.error());
    return;
  }
  const ObjectMeta& meta = identity->meta;
  const std::lock_guard lock(apply_mutex_);
  const auto present = store_.peek(meta);
  seen(meta, identity->deleting);
  if (present.exists && present.same_uid && present.same_version) {
    if (present.ahead) store_.confirm(meta.key);
    return;
  }
  if (present.newer) return;
  auto item = decode(json, meta);
  if (!item) return;
  std::optional<StoredItem> old;
  note_early(meta);
  // Before the first list is complete it is ahead of that: not gone because it is not in it.
  const bool ahead = !has_synced();
  if (!guarded(meta, [&] { old = store_.put(meta, item->value, ahead); })) return;
  publish_size();
  dispatch_put(meta, old, item->value, Origin::Watch);
}

void ObjectCache::remove(std::string_view json) {
  const auto identity = decode_identity(json);
  if (!identity) {
    metrics_.decode_errors.add();
    spdlog::warn("watch event skipped resource={} error={}", resource_, identity.error());
    return;
  }
  const ObjectMeta& meta = identity->meta;
  const std::lock_guard lock(apply_mutex_);
  seen(meta, true);
  note_early(meta);
  if (!has_synced()) gone_early_[meta.uid] = meta.resource_version;
  // A list that is streamed goes on with events until its closing bookmark.
  std::erase_if(staged_, [&](const Staged& entry) {
    return entry.meta.key == meta.key && entry.meta.uid == meta.uid;
  });
  const auto present = store_.peek(meta);
  if (!present.exists) return;
  // The end of the former object of this name, after we created the next one.
  if (!present.same_uid && (present.newer || present.ahead)) return;
  const auto old = store_.erase(meta.key);
  publish_size();
  dispatch(meta.key, old->meta.uid, old->value, nullptr, Origin::Watch);
}

void ObjectCache::advance(std::string_view version) {
  const std::lock_guard lock(apply_mutex_);
  applied_version_ = version;
}

void ObjectCache::resync() {
  const std::lock_guard lock(apply_mutex_);
  for (const auto& item : store_.items()) {
    dispatch(item.meta.key, item.meta.uid, item.value, item.value, Origin::Resync);
  }
}

void ObjectCache::observe_write(std::string_view json) {
  const auto identity = decode_identity(json);
  if (!identity || identity->meta.key.name.empty()) {
    spdlog::warn("answer to a write ignored resource={} error={}", resource_,
                 identity ? "metadata.name is missing" : identity.error());
    return;
  }
  const ObjectMeta& meta = identity->meta;
  const auto written = ResourceVersion::parse(meta.resource_version);
  const std::lock_guard lock(apply_mutex_);
  const auto present = store_.peek(meta);
  if (present.same_version && present.same_uid) return;
  // While the first list is still coming nothing has been applied as a whole, but its version is
  // older than what we have just written.
  const auto applied =
      has_synced() ? ResourceVersion::parse(applied_version_) : ResourceVersion::parse("1");
  if (!written.comparable(applied)) {
    expect(meta.key, {meta.uid, meta.resource_version, clock_.now() + kExpectedFor});
    return;
  }
  // The watch was faster: whatever it has made of the object since, deleted it even, is newer.
  if (applied.at_least(written) || present.newer || went_early(meta)) return;
  auto item = decode(json, meta);
  if (!item) return;
  std::optional<StoredItem> old;
  if (!guarded(meta, [&] { old = store_.put(meta, item->value, true); })) return;
  publish_size();
  dispatch_put(meta, old, item->value, Origin::OwnWrite);
}

void ObjectCache::observe_delete(const ObjectKey& key, const std::string& uid) {
  // The apply lock, so that the DELETED event is either in the store already or still to come.
  const std::lock_guard lock(apply_mutex_);
  const auto item = store_.find(key);
  if (!item || item->meta.uid != uid) return;
  expect(key, {uid, {}, clock_.now() + kExpectedFor});
}

void ObjectCache::expect(const ObjectKey& key, Expected expected) {
  const std::lock_guard lock(expected_mutex_);
  if (expected_.size() > kManyExpected) {
    std::erase_if(expected_,
                  [&](const auto& entry) { return clock_.now() >= entry.second.expires; });
  }
  expected_[key] = std::move(expected);
}

bool ObjectCache::caught_up(const ObjectKey& key) const {
  const std::lock_guard lock(expected_mutex_);
  const auto found = expected_.find(key);
  return found == expected_.end() || clock_.now() >= found->second.expires;
}

void ObjectCache::seen(const ObjectMeta& meta, bool gone_or_going) {
  const std::lock_guard lock(expected_mutex_);
  if (expected_.empty()) return;
  const auto found = expected_.find(meta.key);
  if (found == expected_.end()) return;
  const Expected& expected = found->second;
  if (gone_or_going || expected.uid != meta.uid ||
      (!expected.version.empty() && expected.version == meta.resource_version)) {
    expected_.erase(found);
  }
}

void ObjectCache::note_early(const ObjectMeta& meta) {
  if (has_synced()) return;
  const auto version = ResourceVersion::parse(meta.resource_version);
  const auto before = ResourceVersion::parse(early_version_);
  if (early_version_.empty() || version.newer_than(before)) early_version_ = meta.resource_version;
}

bool ObjectCache::went_early(const ObjectMeta& meta) const {
  const auto gone = gone_early_.find(meta.uid);
  return gone != gone_early_.end() && !ResourceVersion::parse(meta.resource_version)
                                           .newer_than(ResourceVersion::parse(gone->second));
}

void ObjectCache::publish_size() { metrics_.objects.set(static_cast<double>(store_.size())); }

}  // namespace gobuildenv::kube
