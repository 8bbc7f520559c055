#include "kube/store.hpp"

#include <utility>

namespace gobuildenv::kube {
namespace {

StoredItem item_of(const StoreEntry& entry) {
  return {{entry.key(), entry.uid(), entry.version_text()}, entry.value};
}

}  // namespace

Store::Store(std::vector<NamedIndex> indexes) {
  for (auto& definition : indexes) indexes_.push_back({std::move(definition), {}});
}

Store::~Store() = default;

AnyValue Store::get(const ObjectKey& key) const {
  const std::shared_lock lock(mutex_);
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : (*found)->value;
}

std::optional<StoredItem> Store::find(const ObjectKey& key) const {
  const std::shared_lock lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  return item_of(**found);
}

std::vector<AnyValue> Store::list() const {
  const std::shared_lock lock(mutex_);
  std::vector<AnyValue> values;
  values.reserve(entries_.size());
  for (const auto& entry : entries_) values.push_back(entry->value);
  return values;
}

std::vector<AnyValue> Store::by_index(std::string_view index, std::string_view value) const {
  const std::shared_lock lock(mutex_);
  std::vector<AnyValue> values;
  for (const auto& data : indexes_) {
    if (data.definition.name != index) continue;
    const auto bucket = data.buckets.find(std::string(value));
    if (bucket == data.buckets.end()) break;
    values.reserve(bucket->second.size());
    for (const auto* entry : bucket->second) values.push_back(entry->value);
  }
  return values;
}

std::vector<StoredItem> Store::items() const {
  const std::shared_lock lock(mutex_);
  std::vector<StoredItem> items;
  items.reserve(entries_.size());
  for (const auto& entry : entries_) items.push_back(item_of(*entry));
  return items;
}

std::vector<ObjectKey> Store::keys_where(const std::function<bool(const void*)>& wanted) const {
  const std::shared_lock lock(mutex_);
  std::vector<ObjectKey> keys;
  for (const auto& entry : entries_) {
    if (wanted(entry->value.get())) keys.push_back(entry->key());
  }
  return keys;
}

std::size_t Store::size() const {
  const std::shared_lock lock(mutex_);
  return entries_.size();
}

Store::Peek Store::peek(const ObjectMeta& meta) const {
  const std::shared_lock lock(mutex_);
  const auto found = entries_.find(meta.key);
  if (found == entries_.end()) return {};
  const StoreEntry& entry = **found;
  const auto ours = entry.version();
  const auto theirs = ResourceVersion::parse(meta.resource_version);
  Peek peek;
  peek.exists = true;
  peek.same_uid = entry.has_uid(meta.uid);
  peek.same_version = ours.number != 0
                          ? ours.number == theirs.number
                          : theirs.number == 0 && !theirs.text.empty() && ours.text == theirs.text;
  peek.newer = ours.newer_than(theirs);
  peek.ahead = entry.ahead;
  return peek;
}

std::optional<StoredItem> Store::put(const ObjectMeta& meta, AnyValue value, bool ahead) {
  const std::unique_lock lock(mutex_);
  return put_locked(meta, std::move(value), ahead);
}

std::optional<StoredItem> Store::erase(const ObjectKey& key) {
  const std::unique_lock lock(mutex_);
  return erase_locked(key);
}

std::optional<StoredItem> Store::put_locked(const ObjectMeta& meta, AnyValue value, bool ahead) {
  // First what may throw: an index function of somebody else's.
  const IndexKeys keys = index_keys(meta.key, value.get());
  auto entry = StoreEntry::make(intern(meta.key.ns), meta, std::move(value));
  entry->ahead = ahead;
  StoreEntry* raw = entry.get();
  std::optional<StoredItem> old;
  const auto found = entries_.find(meta.key);
  if (found == entries_.end()) {
    entries_.insert(std::move(entry));
  } else {
    old = item_of(**found);
    unindex(found->get(), meta.key);
    raw->epoch = (*found)->epoch;
    const auto* former_ns = (*found)->ns_name();
    auto node = entries_.extract(found);
    node.value() = std::move(entry);
    entries_.insert(std::move(node));
    release(former_ns);
  }
  index(raw, keys);
  return old;
}

std::optional<StoredItem> Store::erase_locked(const ObjectKey& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  std::optional<StoredItem> old = item_of(**found);
  unindex(found->get(), key);
  const auto* ns = (*found)->ns_name();
  entries_.erase(found);
  release(ns);
  return old;
}

bool Store::mark(const ObjectKey& key, std::uint32_t epoch) {
  const std::unique_lock lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return false;
  (*found)->epoch = epoch;
  return true;
}

std::vector<ObjectKey> Store::unmarked(std::uint32_t epoch,
                                       const ResourceVersion* list_version) const {
  const std::shared_lock lock(mutex_);
  std::vector<ObjectKey> keys;
  for (const auto& entry : entries_) {
    if (entry->epoch == epoch) continue;
    if (list_version != nullptr && entry->ahead && entry->version().newer_than(*list_version)) {
      continue;
    }
    keys.push_back(entry->key());
  }
  return keys;
}

void Store::confirm(const ObjectKey& key) {
  const std::unique_lock lock(mutex_);
  const auto found = entries_.find(key);
  if (found != entries_.end()) (*found)->ahead = false;
}

Store::IndexKeys Store::index_keys(const ObjectKey& key, const void* value) const {
  IndexKeys keys(indexes_.size());
  for (std::size_t i = 0; i < indexes_.size(); ++i) {
    indexes_[i].definition.keys(key, value,
                                [&](std::string_view text) { keys[i].emplace_back(text); });
  }
  return keys;
}

void Store::index(StoreEntry* entry, const IndexKeys& keys) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    for (const auto& text : keys[i]) indexes_[i].buckets[text].insert(entry);
  }
}

void Store::unindex(StoreEntry* entry, const ObjectKey& key) {
  IndexKeys keys;
  try {
    keys = index_keys(key, entry->value.get());
  } catch (...) {
    // It did not throw when the entry was stored. Nothing may point to what is about to be freed.
    for (auto& data : indexes_) {
      for (auto& [text, bucket] : data.buckets) bucket.erase(entry);
    }
    return;
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    auto& buckets = indexes_[i].buckets;
    for (const auto& text : keys[i]) {
      const auto bucket = buckets.find(text);
      if (bucket == buckets.end()) continue;
      bucket->second.erase(entry);
      if (bucket->second.empty()) buckets.erase(bucket);
    }
  }
}

const NamespaceName* Store::intern(const std::string& ns) {
  const auto place = namespaces_.try_emplace(ns, 0).first;
  ++place->second;
  return &*place;
}

void Store::release(const NamespaceName* ns) {
  const auto place = namespaces_.find(ns->first);
  if (--place->second == 0) namespaces_.erase(place);
}

}  // namespace gobuildenv::kube
