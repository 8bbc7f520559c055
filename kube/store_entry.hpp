#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "kube/decoded.hpp"

namespace gobuildenv::kube {

using AnyValue = std::shared_ptr<const void>;

/// A resourceVersion. Kubernetes gives decimal numbers which grow within a kind (comparable by
/// contract since 1.35, in fact since etcd); anything else is opaque: equal or not, never newer.
struct ResourceVersion {
  std::uint64_t number = 0;  ///< 0: opaque
  std::string_view text;

  static ResourceVersion parse(std::string_view text) noexcept;
  [[nodiscard]] bool comparable(const ResourceVersion& other) const noexcept {
    return number != 0 && other.number != 0;
  }
  [[nodiscard]] bool newer_than(const ResourceVersion& other) const noexcept {
    return comparable(other) && number > other.number;
  }
  [[nodiscard]] bool at_least(const ResourceVersion& other) const noexcept {
    return comparable(other) ? number >= other.number : text == other.text;
  }
};

/// A namespace's name, shared by its objects, with its use count.
using NamespaceName = std::pair<const std::string, std::uint32_t>;

/// One cached object: a fixed head and, in the same block of memory, its name and whatever of uid
/// and resourceVersion is not in the usual form. 100,000 of these must stay small.
class StoreEntry {
 public:
  [[nodiscard]] std::string_view ns() const noexcept { return ns_->first; }
  [[nodiscard]] const NamespaceName* ns_name() const noexcept { return ns_; }
  [[nodiscard]] std::string_view name() const noexcept { return {tail(), name_size_}; }
  [[nodiscard]] std::string uid() const;
  [[nodiscard]] bool has_uid(std::string_view uid) const noexcept;
  [[nodiscard]] ResourceVersion version() const noexcept;
  [[nodiscard]] std::string version_text() const;
  [[nodiscard]] ObjectKey key() const { return {std::string(ns()), std::string(name())}; }
  [[nodiscard]] std::size_t hash() const noexcept;

  AnyValue value;
  std::uint32_t epoch = 0;  ///< the last list in which it was
  bool ahead = false;       ///< from our own write, not yet seen in the watch

  struct Delete {
    void operator()(StoreEntry* entry) const noexcept;
  };
  static std::unique_ptr<StoreEntry, Delete> make(const NamespaceName* ns, const ObjectMeta& meta,
                                                  AnyValue value);

 private:
  StoreEntry() = default;
  ~StoreEntry() = default;
  [[nodiscard]] const char* tail() const noexcept {
    return reinterpret_cast<const char*>(this) + sizeof(StoreEntry);
  }
  [[nodiscard]] char* tail() noexcept { return reinterpret_cast<char*>(this) + sizeof(StoreEntry); }

  const NamespaceName* ns_ = nullptr;
  std::uint64_t version_ = 0;
  std::array<std::uint8_t, 16> uid_{};  ///< when uid_size_ is 0
  std::uint16_t name_size_ = 0;
  std::uint16_t uid_size_ = 0;      ///< bytes in the tail for a uid that is no canonical UUID
  std::uint16_t version_size_ = 0;  ///< bytes in the tail for an opaque version
};

using StoreEntryPtr = std::unique_ptr<StoreEntry, StoreEntry::Delete>;

/// Hash and equality by (namespace, name), also for a key that is not stored.
std::size_t hash_object_key(std::string_view ns, std::string_view name) noexcept;

struct StoreEntryHash {
  using is_transparent = void;
  std::size_t operator()(const StoreEntryPtr& entry) const noexcept { return entry->hash(); }
  std::size_t operator()(const ObjectKey& key) const noexcept {
    return hash_object_key(key.ns, key.name);
  }
};

struct StoreEntryEqual {
  using is_transparent = void;
  bool operator()(const StoreEntryPtr& a, const StoreEntryPtr& b) const noexcept {
    return a->ns() == b->ns() && a->name() == b->name();
  }
  bool operator()(const ObjectKey& key, const StoreEntryPtr& entry) const noexcept {
    return entry->ns() == key.ns && entry->name() == key.name;
  }
  bool operator()(const StoreEntryPtr& entry, const ObjectKey& key) const noexcept {
    return (*this)(key, entry);
  }
};

}  // namespace gobuildenv::kube
