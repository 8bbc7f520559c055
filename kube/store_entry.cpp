#include "kube/store_entry.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

namespace gobuildenv::kube {
namespace {

constexpr std::size_t kUuidSize = 36;

bool is_dash(std::size_t position) noexcept {
  return position == 8 || position == 13 || position == 18 || position == 23;
}

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

/// Only the form the API server writes: lower case, with dashes. Anything else is kept as text.
bool pack_uuid(std::string_view text, std::array<std::uint8_t, 16>& out) noexcept {
  if (text.size() != kUuidSize) return false;
  std::size_t digits = 0;
  for (std::size_t i = 0; i < kUuidSize; ++i) {
    if (is_dash(i)) {
      if (text[i] != '-') return false;
      continue;
    }
    const int value = hex_value(text[i]);
    if (value < 0) return false;
    auto& byte = out[digits / 2];
    byte = static_cast<std::uint8_t>(digits % 2 == 0 ? value << 4 : byte | value);
    ++digits;
  }
  return true;
}

std::string unpack_uuid(const std::array<std::uint8_t, 16>& packed) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text(kUuidSize, '-');
  std::size_t digits = 0;
  for (std::size_t i = 0; i < kUuidSize; ++i) {
    if (is_dash(i)) continue;
    const auto byte = packed[digits / 2];
    text[i] = kDigits[digits % 2 == 0 ? byte >> 4 : byte & 0xF];
    ++digits;
  }
  return text;
}

/// Names and versions of the API server are at most a few hundred bytes; what is longer is cut, so
/// that no size overflows whatever the server sends.
std::uint16_t tail_size(std::string_view text) noexcept {
  return static_cast<std::uint16_t>(
      std::min<std::size_t>(text.size(), std::numeric_limits<std::uint16_t>::max()));
}

}  // namespace

ResourceVersion ResourceVersion::parse(std::string_view text) noexcept {
  ResourceVersion version{0, text};
  // A leading zero would not come back out of a number; 19 digits always fit.
  if (text.empty() || text.size() > 19 || text.front() == '0') return version;
  std::uint64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return version;
    number = number * 10 + static_cast<std::uint64_t>(c - '0');
  }
  version.number = number;
  return version;
}

std::size_t hash_object_key(std::string_view ns, std::string_view name) noexcept {
  const std::size_t a = std::hash<std::string_view>{}(ns);
  const std::size_t b = std::hash<std::string_view>{}(name);
  return b ^ (a + 0x9e3779b97f4a7c15ULL + (b << 6) + (b >> 2));
}

std::unique_ptr<StoreEntry, StoreEntry::Delete> StoreEntry::make(const NamespaceName* ns,
                                                                 const ObjectMeta& meta,
                                                                 AnyValue value) {
  std::array<std::uint8_t, 16> packed{};
  const bool canonical = pack_uuid(meta.uid, packed);
  const auto version = ResourceVersion::parse(meta.resource_version);
  const std::string_view uid_text = canonical ? std::string_view{} : meta.uid;
  const std::string_view version_text =
      version.number != 0 ? std::string_view{} : std::string_view(meta.resource_version);
  const auto name_size = tail_size(meta.key.name);
  const auto uid_size = tail_size(uid_text);
  const auto version_size = tail_size(version_text);

  void* memory = ::operator new(sizeof(StoreEntry) + name_size + uid_size + version_size);
  StoreEntryPtr entry(new (memory) StoreEntry());
  entry->ns_ = ns;
  entry->version_ = version.number;
  if (canonical) entry->uid_ = packed;
  entry->name_size_ = name_size;
  entry->uid_size_ = uid_size;
  entry->version_size_ = version_size;
  entry->value = std::move(value);
  char* tail = entry->tail();
  std::memcpy(tail, meta.key.name.data(), name_size);
  if (uid_size > 0) std::memcpy(tail + name_size, uid_text.data(), uid_size);
  if (version_size > 0) {
    std::memcpy(tail + name_size + uid_size, version_text.data(), version_size);
  }
  return entry;
}

void StoreEntry::Delete::operator()(StoreEntry* entry) const noexcept {
  entry->~StoreEntry();
  ::operator delete(entry);
}

std::string StoreEntry::uid() const {
  if (uid_size_ > 0) return {tail() + name_size_, uid_size_};
  if (std::all_of(uid_.begin(), uid_.end(), [](auto byte) { return byte == 0; })) return {};
  return unpack_uuid(uid_);
}

bool StoreEntry::has_uid(std::string_view uid) const noexcept {
  if (uid_size_ > 0) return uid == std::string_view(tail() + name_size_, uid_size_);
  std::array<std::uint8_t, 16> packed{};
  if (!uid.empty() && !pack_uuid(uid, packed)) return false;
  return packed == uid_;
}

ResourceVersion StoreEntry::version() const noexcept {
  if (version_ != 0) return {version_, {}};
  return {0, {tail() + name_size_ + uid_size_, version_size_}};
}

std::string StoreEntry::version_text() const {
  return version_ != 0 ? std::to_string(version_) : std::string(version().text);
}

std::size_t StoreEntry::hash() const noexcept { return hash_object_key(ns(), name()); }

}  // namespace gobuildenv::kube
